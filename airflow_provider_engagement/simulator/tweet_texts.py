"""Random but repeatable texts in several languages, with what real texts have: links, hashtags, emoji, line breaks."""

from __future__ import annotations

import random
from typing import Final

LANGUAGES: Final = ("en", "de", "es", "fr", "pt", "ja")

MAX_LENGTH: Final = 280
"""How many characters of a text an answer has. The rest is in a field of its own."""

MAX_RETWEET_LENGTH: Final = 140
"""How many characters of a retweeted text an answer has."""

_ELLIPSIS: Final = "…"
_OPENINGS: Final = {
    "en": ("Today", "This week", "Good news:", "In case you missed it:", "We are proud:", "Quick question:"),
    "de": ("Heute", "Diese Woche", "Gute Nachrichten:", "Falls ihr es verpasst habt:", "Kurze Frage:"),
    "es": ("Hoy", "Esta semana", "Buenas noticias:", "Por si te lo perdiste:", "Una pregunta:"),
    "fr": ("Aujourd'hui", "Cette semaine", "Bonne nouvelle :", "Au cas où :", "Petite question :"),
    "pt": ("Hoje", "Esta semana", "Boas notícias:", "Caso você tenha perdido:", "Pergunta rápida:"),
    "ja": ("本日、", "今週、", "お知らせ:", "速報:", "質問です。"),
}
_SUBJECTS: Final = {
    "en": ("our team", "the new café", "the community", "everybody at the workshop", "the night train"),
    "de": ("unser Team", "das neue Café", "die Gemeinschaft", "die Werkstatt", "der Nachtzug"),
    "es": ("nuestro equipo", "el café nuevo", "la comunidad", "el taller", "el tren nocturno"),
    "fr": ("notre équipe", "le nouveau café", "la communauté", "l'atelier", "le train de nuit"),
    "pt": ("nossa equipe", "o café novo", "a comunidade", "a oficina", "o trem noturno"),
    "ja": ("私たちのチームが", "新しいカフェが", "コミュニティが", "夜行列車が"),
}
_EVENTS: Final = {
    "en": ("opens its doors", "has a surprise for you", "runs on time again", 'says "thank you"', "needs your help"),
    "de": ("öffnet die Türen", "hat eine Überraschung für euch", "fährt wieder pünktlich", "braucht eure Hilfe"),
    "es": ("abre sus puertas", "tiene una sorpresa", "vuelve a ser puntual", "necesita tu ayuda"),
    "fr": ("ouvre ses portes", "a une surprise pour vous", "est de nouveau à l'heure", "a besoin de vous"),
    "pt": ("abre as portas", "tem uma surpresa", "está de volta", "precisa da sua ajuda"),
    "ja": ("オープンします", "帰ってきました", "皆さんを待っています"),
}
_ENDINGS: Final = (".", "!", " 🎉", " 🚆", " 👏👏", "\n\nMore soon.", "")
_HASHTAGS: Final = ("#news", "#behindthescenes", "#café", "#100days", "#東京")


def random_text(generator: random.Random, lang: str, *, sentences: int = 1) -> str:
    """Return a text.

    :param generator: the source of randomness.
    :param lang: one of ``LANGUAGES``.
    :param sentences: how many sentences it has.
    """
    text = " ".join(_sentence(generator, lang) for _ in range(sentences))
    if generator.random() < 0.35:
        text = f"{text} {generator.choice(_HASHTAGS)}"
    if generator.random() < 0.4:
        text = f"{text} https://t.co/{''.join(generator.choices('abcdefghjkmnpqrstuvwxyzABCDEFGH23456789', k=10))}"
    return text


def with_typing_error(text: str, number: int) -> str:
    """Return an earlier version of a text: the later it was edited, the more is wrong.

    :param text: the final text.
    :param number: how many edits followed.
    """
    for place in range(min(number, len(text) - 1)):
        text = f"{text[:place]}{text[place + 1]}{text[place]}{text[place + 2 :]}"
    return f"{text} (draft {number})"


def cut(text: str, length: int) -> str:
    """Return a text of a limited length. A longer one ends with an ellipsis."""
    return text if len(text) <= length else text[: length - 1] + _ELLIPSIS


def _sentence(generator: random.Random, lang: str) -> str:
    space = "" if lang == "ja" else " "
    words = (generator.choice(of_language[lang]) for of_language in (_OPENINGS, _SUBJECTS, _EVENTS))
    return space.join(words) + generator.choice(_ENDINGS)
