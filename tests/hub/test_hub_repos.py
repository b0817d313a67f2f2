"""Repos as huggingface_hub sees them: made, committed to, listed, read at revisions, and refused with its own errors."""

import pytest
from huggingface_hub import CommitOperationAdd, CommitOperationCopy, CommitOperationDelete, HfApi
from huggingface_hub.errors import (
    BadRequestError,
    EntryNotFoundError,
    GatedRepoError,
    HfHubHTTPError,
    RepositoryNotFoundError,
    RevisionNotFoundError,
)
from huggingface_hub.hf_api import RepoFile, RepoFolder
from loophub import Hub


@pytest.fixture
def api(hub: Hub) -> HfApi:
    """The client of ann, who may write."""
    return HfApi(token=hub.token("ann"))


def add(api: HfApi, repo_id: str, files: dict[str, bytes], **options: object) -> str:
    operations = [CommitOperationAdd(path, data) for path, data in files.items()]
    return api.create_commit(repo_id, operations, commit_message="add", **options).oid


def test_hub_tells_who_holds_a_token(hub: Hub):
    told = HfApi(token=hub.token("ann", write=False, orgs=["acme"])).whoami()
    assert (told["name"], told["auth"]["accessToken"]["role"]) == ("ann", "read")
    assert [org["name"] for org in told["orgs"]] == ["acme"]
    with pytest.raises(HfHubHTTPError, match="Invalid user token"):
        HfApi(token="hf_nobodys").whoami()


@pytest.mark.parametrize("kind", ["model", "dataset", "space"])
def test_repos_are_made_once_and_deleted(hub: Hub, api: HfApi, kind: str):
    sdk = {"space_sdk": "static"} if kind == "space" else {}
    url = api.create_repo("ann/thing", repo_type=kind, private=True, **sdk)
    assert (url.repo_type, url.repo_id) == (kind, "ann/thing")
    with pytest.raises(HfHubHTTPError, match="409"):
        api.create_repo("ann/thing", repo_type=kind, **sdk)
    assert api.create_repo("ann/thing", repo_type=kind, exist_ok=True, **sdk) == url
    assert api.repo_info("ann/thing", repo_type=kind).private
    api.delete_repo("ann/thing", repo_type=kind)
    assert not api.repo_exists("ann/thing", repo_type=kind)
    with pytest.raises(RepositoryNotFoundError):
        api.delete_repo("ann/thing", repo_type=kind)


def test_who_may_not_write(hub: Hub):
    hub.put("ann/m", {"a.txt": b"a"})
    for token in (hub.token("ann", write=False), hub.token("bob")):
        with pytest.raises(HfHubHTTPError, match="403"):
            add(HfApi(token=token), "ann/m", {"a.txt": b"b"})
        with pytest.raises(HfHubHTTPError, match="403"):
            HfApi(token=token).create_repo("ann/new")
        HfApi(token=token).auth_check("ann/m")
        with pytest.raises(HfHubHTTPError, match="403"):
            HfApi(token=token).auth_check("ann/m", write=True)
    HfApi(token=hub.token("bob", orgs=["acme"])).create_repo("acme/new")
    assert hub.read("ann/m", "a.txt") == b"a"


def test_a_commit_is_all_or_nothing(hub: Hub, api: HfApi):
    first = hub.put("ann/m", {"a.txt": b"a", "d/b.txt": b"b", "d/c.bin": b"\0c"}).oid
    bad = [CommitOperationAdd("new.txt", b"n"), CommitOperationDelete("d/"), CommitOperationDelete("none.txt")]
    with pytest.raises(EntryNotFoundError):
        api.create_commit("ann/m", bad, commit_message="bad")
    assert hub.repos["model", "ann/m"].at("main").oid == first
    good = [
        CommitOperationAdd("new.txt", b"n"),
        CommitOperationDelete("d/"),
        CommitOperationCopy("d/c.bin", "copy.bin"),
        CommitOperationCopy("a.txt", "copy.txt"),
    ]
    oid = api.create_commit("ann/m", good, commit_message="good", commit_description="why").oid
    assert set(hub.tree("ann/m")) == {".gitattributes", "a.txt", "new.txt", "copy.bin", "copy.txt"}
    assert (hub.read("ann/m", "copy.bin"), hub.read("ann/m", "copy.txt")) == (b"\0c", b"a")
    assert hub.read("ann/m", "d/b.txt", revision=first) == b"b"
    commits = api.list_repo_commits("ann/m")
    assert [commit.commit_id for commit in commits][:2] == [oid, first]
    assert (commits[0].title, commits[0].message, commits[0].authors) == ("good", "why", ["ann"])


def test_a_commit_upon_another_parent_is_refused(hub: Hub, api: HfApi):
    old = hub.put("ann/m", {"a.txt": b"1"}).oid
    new = add(api, "ann/m", {"a.txt": b"2"}, parent_commit=old)
    with pytest.raises(HfHubHTTPError, match="412"):
        add(api, "ann/m", {"a.txt": b"3"}, parent_commit=old)
    assert hub.repos["model", "ann/m"].at("main").oid == new
    with pytest.raises(BadRequestError):
        add(api, "ann/m", {"a.txt": b"3"}, revision=old)


def test_unchanged_files_make_no_commit(hub: Hub, api: HfApi):
    files = {"a.txt": b"a", "b.bin": bytes(range(256)) * 99}
    oid = hub.put("ann/m", files).oid
    assert add(api, "ann/m", files) == oid
    assert hub.log.of(path="*/commit/*") == []


def test_revisions(hub: Hub, api: HfApi):
    first = hub.put("ann/m", {"a.txt": b"1"}).oid
    api.create_branch("ann/m", branch="try/it/out")
    api.create_tag("ann/m", tag="v1/rc", revision=first)
    second = add(api, "ann/m", {"a.txt": b"2"}, revision="try/it/out")
    texts = {"main": b"1", "try/it/out": b"2", "refs/heads/try/it/out": b"2", "v1/rc": b"1", second: b"2", second[:7]: b"2"}
    for revision, text in texts.items():
        assert hub.read("ann/m", "a.txt", revision=revision) == text
        path = api.hf_hub_download("ann/m", "a.txt", revision=revision)
        with open(path, "rb") as file:
            assert file.read() == text
        assert api.model_info("ann/m", revision=revision).sha == (first if text == b"1" else second)
    refs = api.list_repo_refs("ann/m")
    assert {ref.name: ref.target_commit for ref in refs.branches} == {"main": first, "try/it/out": second}
    assert {ref.name: ref.target_commit for ref in refs.tags} == {"v1/rc": first}
    api.delete_branch("ann/m", branch="try/it/out")
    api.delete_tag("ann/m", tag="v1/rc")
    for revision in ("try/it/out", "v1/rc", "0" * 40):
        with pytest.raises(RevisionNotFoundError):
            api.model_info("ann/m", revision=revision)
        with pytest.raises(RevisionNotFoundError):
            api.hf_hub_download("ann/m", "a.txt", revision=revision)


def test_what_is_told_of_a_repo(hub: Hub, api: HfApi):
    card = b"---\nlicense: mit\nbase_model: ann/base\ntags: [x]\n---\n# Hi\n"
    data = bytes(range(256)) * 400
    commit = hub.put("ann/m", {"README.md": card, "w/big.bin": data, "w/c.json": b"{}"})
    info = api.model_info("ann/m", files_metadata=True)
    assert (info.id, info.sha, info.private, info.gated) == ("ann/m", commit.oid, False, False)
    assert info.last_modified == commit.date
    assert (info.card_data.license, info.card_data.base_model) == ("mit", "ann/base")
    siblings = {sibling.rfilename: sibling for sibling in info.siblings}
    assert siblings["w/big.bin"].lfs.sha256 == commit.tree["w/big.bin"].sha256
    assert (siblings["w/big.bin"].size, siblings["w/c.json"].size, siblings["w/c.json"].lfs) == (len(data), 2, None)


def test_trees(hub: Hub, api: HfApi):
    first = hub.put("ann/m", {"a.txt": b"a", "d/b.bin": bytes(9999), "d/e/c.txt": b"c"})
    second = hub.put("ann/m", {"a.txt": b"b"})
    hub.page_size = 2
    top = {entry.path: entry for entry in api.list_repo_tree("ann/m", expand=True)}
    assert set(top) == {".gitattributes", "a.txt", "d"}
    assert isinstance(top["d"], RepoFolder)
    assert (top["a.txt"].last_commit.oid, top["d"].last_commit.oid) == (second.oid, first.oid)
    whole = {entry.path: entry for entry in api.list_repo_tree("ann/m", recursive=True)}
    assert set(whole) == {".gitattributes", "a.txt", "d", "d/b.bin", "d/e", "d/e/c.txt"}
    assert whole["d/b.bin"].xet_hash == second.tree["d/b.bin"].xet
    assert whole["d/b.bin"].blob_id == second.tree["d/b.bin"].oid
    assert {entry.path for entry in api.list_repo_tree("ann/m", "d", revision=first.oid)} == {"d/b.bin", "d/e"}
    found = api.get_paths_info("ann/m", ["d", "d/b.bin", "none", "a.txt"])
    assert [entry.path for entry in found] == ["d", "d/b.bin", "a.txt"]
    assert isinstance(found[1], RepoFile)
    assert found[1].lfs.size == 9999
    with pytest.raises(EntryNotFoundError):
        list(api.list_repo_tree("ann/m", "none"))


def test_private_repos_are_hidden(hub: Hub, api: HfApi):
    hub.put("ann/secret", {"a.txt": b"a", "b.txt": b"b"}, private=True)
    assert api.hf_hub_download("ann/secret", "a.txt")
    for other in (HfApi(token=False), HfApi(token=hub.token("bob")), HfApi(token="hf_nobodys")):
        with pytest.raises(HfHubHTTPError) as told:
            other.model_info("ann/secret")
        assert isinstance(told.value, RepositoryNotFoundError) == (other.token != "hf_nobodys")
        assert not list_or_none(other, "ann/secret")
    with pytest.raises(RepositoryNotFoundError):
        HfApi(token=False).hf_hub_download("ann/secret", "b.txt")
    with pytest.raises(RepositoryNotFoundError):
        api.model_info("ann/none")


def list_or_none(api: HfApi, repo_id: str) -> list[str]:
    try:
        return api.list_repo_files(repo_id)
    except HfHubHTTPError:
        return []


def test_gated_repos_show_their_names_only(hub: Hub, api: HfApi):
    hub.put("ann/gated", {"a.txt": b"a", "b.bin": bytes(99)}, gated="manual", members={"cem"})
    for token in (False, hub.token("bob")):
        other = HfApi(token=token)
        assert "b.bin" in other.list_repo_files("ann/gated")
        assert other.model_info("ann/gated").gated == "manual"
        for path in ("a.txt", "b.bin"):
            with pytest.raises(GatedRepoError):
                other.hf_hub_download("ann/gated", path)
        with pytest.raises(GatedRepoError):
            other.auth_check("ann/gated")
    for token in (hub.token("ann"), hub.token("cem", write=False)):
        assert HfApi(token=token).hf_hub_download("ann/gated", "b.bin", force_download=True)
    api.update_repo_settings("ann/gated", gated=False, private=True)
    assert (api.model_info("ann/gated").gated, api.model_info("ann/gated").private) == (False, True)


def test_a_file_that_is_not_there(hub: Hub, api: HfApi):
    hub.put("ann/m", {"a.txt": b"a"})
    with pytest.raises(EntryNotFoundError):
        api.hf_hub_download("ann/m", "none.txt")


def test_large_binary_and_named_files_go_to_xet(hub: Hub, api: HfApi):
    api.create_repo("ann/m")
    files = {
        "a.txt": b"plain",
        "umlaut.txt": "ö".encode() * 400,
        "b.png": b"\x89PNG\0",
        "c.gguf": b"text",
        "d.txt": b"x" * (11 << 20),
    }
    add(api, "ann/m", files)
    assert {path for path, blob in hub.tree("ann/m").items() if blob.xet} == {"b.png", "c.gguf", "d.txt"}
    assert all(hub.read("ann/m", path) == data for path, data in files.items())
