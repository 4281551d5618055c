"""The words that the rules go by, a module for each language: `words` says what there is of each."""

from engine.goals.lexicon.english import ENGLISH
from engine.goals.lexicon.german import GERMAN
from engine.goals.lexicon.words import Lexicon

__all__ = ["LANGUAGES", "Lexicon"]

LANGUAGES = (ENGLISH, GERMAN)
