"""In: why a request is refused. Out: an exception that becomes the answer the Hub gives, header for header."""

from collections.abc import Mapping

from .wire import Response, as_json


class Refused(Exception):  # noqa: N818
    """An answer that ends the handling of a request; `code` is the Hub's X-Error-Code, which clients go by."""

    def __init__(self, status: int, message: str, code: str = "", headers: Mapping[str, str] | None = None) -> None:
        super().__init__(message)
        self.status, self.message, self.code, self.headers = status, message, code, dict(headers or {})

    def response(self) -> Response:
        headers = {"X-Error-Message": self.message, **self.headers}
        if self.code:
            headers["X-Error-Code"] = self.code
        return as_json({"error": self.message}, self.status, headers)


def no_repo(status: int = 404) -> Refused:
    """A repo that is not there, or that may not be known to be there; without a token the Hub says 401."""
    return Refused(status, "Repository not found", "RepoNotFound")


def no_revision(revision: str) -> Refused:
    return Refused(404, f"Invalid rev id: {revision}", "RevisionNotFound")


def no_entry(path: str, commit: str = "") -> Refused:
    return Refused(404, f"Entry not found: {path}", "EntryNotFound", {"X-Repo-Commit": commit} if commit else None)
