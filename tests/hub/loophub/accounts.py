"""In: names and rights. Out: users, the tokens they hold, and who is behind a request."""

from collections.abc import Iterable
from dataclasses import dataclass

from .refusals import Refused
from .wire import Request


@dataclass(frozen=True)
class Login:
    """A user with the rights of one token; `spaces` are the names under which the user owns repos."""

    user: str
    spaces: frozenset[str]
    write: bool

    def owns(self, repo_id: str) -> bool:
        return repo_id.split("/")[0] in self.spaces


class Accounts:
    """Users, organisations and tokens."""

    def __init__(self) -> None:
        self._tokens: dict[str, Login] = {}

    def token(self, user: str, write: bool = True, orgs: Iterable[str] = ()) -> str:
        """A new token of this user, who is a member of these organisations."""
        token = f"hf_{'Write' if write else 'Read'}Of{user.capitalize()}{len(self._tokens):04d}"
        self._tokens[token] = Login(user, frozenset([user, *orgs]), write)
        return token

    def revoke(self, token: str) -> None:
        del self._tokens[token]

    def who(self, request: Request) -> Login | None:
        """Who asks, None without a token; a token nobody has is refused."""
        if request.bearer is None:
            return None
        if request.bearer not in self._tokens:
            raise Refused(401, "Invalid credentials in Authorization header")
        return self._tokens[request.bearer]

    def known(self, token: str | None) -> bool:
        return token in self._tokens

    def named_in(self, text: str) -> bool:
        """Whether some user's token stands in this text."""
        return any(token in text for token in self._tokens)
