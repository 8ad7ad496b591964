"""The public keys of an issuer: a JSON Web Key Set, from its URL or from a file."""

import json
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from http.client import HTTPException
from pathlib import Path
from typing import IO, Any
from urllib.error import HTTPError

from .refreshed import Refreshed

ANSWER_SECONDS = 3.0
LARGEST = 512 * 1024
SHORTEST_RSA = 2048
# Keys that a token is tried with, at most.
MOST_TRIED = 8
# Some hosts refuse Python's own.
HEADERS = [("User-Agent", "chalice-chat"), ("Accept", "application/json")]

# What a key is for, by its type and curve. Nothing else is a key here; above all nothing symmetric.
ALGORITHMS = {("RSA", None): "RS256", ("EC", "P-256"): "ES256", ("OKP", "Ed25519"): "EdDSA"}

# By what they are for, and their id. A set may have several of one id.
Keys = Mapping[tuple[str, str | None], list[Any]]


class Jwks:
    """Finds the key of a token by its ``kid``. Where the keys are is settled here, and never by a token.

    Args:
        source: An https:// URL, or a file.
        clock: Unix time in s.
    """

    def __init__(self, source: str, clock: Callable[[], float]) -> None:
        self._source = source
        self._keys: Refreshed[Keys] = Refreshed(
            self._read, lambda: (OSError, HTTPException, ValueError), clock
        )

    def keys(self, algorithm: str, kid: str | None) -> Iterator[Any]:
        """The keys of that id and for that algorithm; where either has no id, those that it may be.

        Raises:
            KeysUnavailable: The keys have never been read, and cannot be.
        """
        tried = _find(self._keys.get(), algorithm, kid)[:MOST_TRIED]
        yield from tried
        # It may be a new one.
        newer = _find(self._keys.again(), algorithm, kid)[:MOST_TRIED]
        yield from (key for key in newer if key not in tried)

    def _read(self) -> Keys:
        if "://" in self._source:
            return parse(_download(self._source))
        return parse(Path(self._source).read_bytes())


def parse(document: bytes) -> Keys:
    """Read a key set; keys that are for something else, or that are broken, are left out.

    Raises:
        ValueError: It is no key set.
    """
    try:
        listed = json.loads(document)["keys"]
        entries = [entry for entry in listed if isinstance(entry, dict)]
    except (TypeError, KeyError, RecursionError) as error:
        raise ValueError("not a JSON Web Key Set") from error
    found: dict[tuple[str, str | None], list[Any]] = {}
    for entry in entries:
        algorithm = _algorithm(entry)
        key = _key(algorithm, entry) if algorithm else None
        if algorithm and key is not None:
            found.setdefault((algorithm, entry.get("kid")), []).append(key)
    return found


def _algorithm(entry: Mapping[str, Any]) -> str | None:
    """What a key is for; None where it is not for us."""
    kind = entry.get("kty"), entry.get("crv")
    if not all(isinstance(part, str | None) for part in (*kind, entry.get("kid"))):
        return None
    algorithm = ALGORITHMS.get(kind)  # type: ignore[arg-type]
    private = "d" in entry
    if private or entry.get("use", "sig") != "sig" or entry.get("alg", algorithm) != algorithm:
        return None
    return algorithm


def _key(algorithm: str, entry: dict[str, Any]) -> Any:
    from jwt import PyJWK, PyJWTError

    try:
        key = PyJWK(entry, algorithm).key
    except (PyJWTError, ValueError, TypeError):
        return None
    return None if algorithm == "RS256" and key.key_size < SHORTEST_RSA else key


def _find(keys: Keys, algorithm: str, kid: str | None) -> list[Any]:
    if kid is not None:
        return keys.get((algorithm, kid)) or keys.get((algorithm, None), [])
    return [key for (kind, _), each in keys.items() if kind == algorithm for key in each]


class _NoRedirects(urllib.request.HTTPRedirectHandler):
    """The keys are where the settings say, and not where that place says."""

    def redirect_request(
        self, req: urllib.request.Request, fp: IO[bytes], code: int, msg: str, headers: Any, newurl: str
    ) -> None:
        return None


def _download(url: str) -> bytes:
    opener = urllib.request.build_opener(_NoRedirects)
    opener.addheaders = HEADERS
    try:
        with opener.open(url, timeout=ANSWER_SECONDS) as response:
            body: bytes = response.read(LARGEST + 1)
    except HTTPError as error:
        error.close()
        raise
    if len(body) > LARGEST:
        raise ValueError("the key set is too large")
    return body
