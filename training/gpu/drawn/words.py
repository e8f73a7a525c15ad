"""Word-level tokenizers over the vocabulary of the drawn world, in the form that diffusers and transformers expect."""

from __future__ import annotations

from typing import Any

from tokenizers import Regex, Tokenizer, models, normalizers, pre_tokenizers, processors
from transformers import PreTrainedTokenizerFast

from drawnworld.wording import vocabulary

TEXT_LENGTH = 12  # tokens; the longest instruction of the drawn world has nine words, and CLIP adds two marks
PAD, UNKNOWN, START, END = "<pad>", "<unk>", "<s>", "</s>"
SPECIAL = (PAD, UNKNOWN, "<unused>", START, END)  # END must not be token 2: CLIP reads that number in an old way
MOST_WORDS = TEXT_LENGTH - 2


def clip_tokenizer() -> Any:
    """Words between a start and an end mark, whose place CLIP pools."""
    return _wrapped(f"{START} $A {END}")


def t5_tokenizer() -> Any:
    """Words and an end mark."""
    return _wrapped(f"$A {END}")


def token_count() -> int:
    return len(SPECIAL) + len(vocabulary())


def unknown_words(instruction: str) -> list[str]:
    """The words of the instruction that the editor was never taught, in order."""
    known = set(vocabulary())
    return [word for word in split(instruction) if word not in known]


def split(instruction: str) -> list[str]:
    """The instruction's words as the tokenizers see them: lower case, without punctuation, American spelling."""
    text = _normalizer().normalize_str(instruction)
    return [word for word, _ in _splitter().pre_tokenize_str(text)]


def _wrapped(template: str) -> Any:
    numbers = {word: number for number, word in enumerate((*SPECIAL, *vocabulary()))}
    tokenizer = Tokenizer(models.WordLevel(numbers, unk_token=UNKNOWN))
    tokenizer.normalizer = _normalizer()
    tokenizer.pre_tokenizer = _splitter()
    marks = [(START, numbers[START]), (END, numbers[END])]
    tokenizer.post_processor = processors.TemplateProcessing(single=template, special_tokens=marks)
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        model_max_length=TEXT_LENGTH,
        pad_token=PAD,
        unk_token=UNKNOWN,
        bos_token=START,
        eos_token=END,
        padding_side="right",
    )


def _normalizer() -> Any:
    return normalizers.Sequence([normalizers.Lowercase(), normalizers.Replace("colour", "color")])


def _splitter() -> Any:
    return pre_tokenizers.Split(Regex(r"[^\p{L}\p{N}<>/]+"), "removed")
