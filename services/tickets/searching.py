"""What a text is found by: parts of it that an index can hold, for Chinese and Latin writing alike. Pure.

Postgres' own parsers do not cut Chinese into words, and pg_trgm is not in every installation; so characters are paired
here. Han, kana and hangul: each character and each pair of neighbours. Other words: each run of three characters, and
words of one or two as a whole (a shorter part of a longer word is not found). Candidates are checked against the
folded text, so that what is found does contain what was asked for.
"""

from __future__ import annotations

import re
import unicodedata

LONGEST = 200  # characters of a question

_IDEOGRAPHS = (
    "\u2e80-\u2fdf\u3005-\u3007\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uac00-\ud7af\uf900-\ufaff\U00020000-\U0003ffff"
)
_RUNS = re.compile(rf"([{_IDEOGRAPHS}]+)|((?:(?![{_IDEOGRAPHS}])\w)+)")


def folded(*texts: str | None) -> str:
    """Return the texts in the form that is compared: NFKC, without case, one space between words."""
    joined = " ".join(text for text in texts if text)
    return " ".join(unicodedata.normalize("NFKC", joined).casefold().split())


def parts(text: str) -> list[str]:
    """Return the parts of a folded text that it is found by, sorted, each once."""
    return sorted({part for ideographs, word in _RUNS.findall(text) for part in _cut(ideographs, word)})


def _cut(ideographs: str, word: str) -> set[str]:
    if ideographs:
        return {*ideographs, *(ideographs[i : i + 2] for i in range(len(ideographs) - 1))}
    return {word} if len(word) < 3 else {word[i : i + 3] for i in range(len(word) - 2)}


def question(text: str) -> tuple[list[str], list[str]]:
    """Return (words that must all occur, parts that the index is asked for); both empty: nothing to look for."""
    words = folded(text[:LONGEST]).split()
    return words, sorted({part for word in words for part in parts(word)})
