"""The files of chromadb's ONNX embedder with a model of a few bytes: vectors are means of token ids and of the mask."""

import struct
from pathlib import Path
from typing import Any

FOLDER = Path(".cache/chroma/onnx_models/all-MiniLM-L6-v2/onnx")
"""Below the home directory, where chromadb looks before it loads from the network."""
_FLOAT, _INT64 = 1, 7
_INT, _INTS = 2, 7
"""Types of an attribute."""


def write(home: Path) -> None:
    """For an embedder in a process with that home directory."""
    from tokenizers import Tokenizer, models, pre_tokenizers

    folder = home / FOLDER
    folder.mkdir(parents=True)
    made = Tokenizer(models.WordLevel({"[PAD]": 0, "[UNK]": 1}, unk_token="[UNK]"))
    made.pre_tokenizer = pre_tokenizers.Whitespace()
    made.save(str(folder / "tokenizer.json"))
    for name in ("config.json", "special_tokens_map.json", "tokenizer_config.json", "vocab.txt"):
        (folder / name).touch()
    (folder / "model.onnx").write_bytes(_model())


def _model() -> bytes:
    """Source: onnx.proto3, IR version 7, operators of version 11."""
    nodes = [
        *(node for name in ("input_ids", "attention_mask") for node in _column(name)),
        _node("Concat", ["input_ids_column", "attention_mask_column"], "last_hidden_state", _attribute("axis", 2)),
    ]
    names = ("input_ids", "attention_mask", "token_type_ids")
    graph = [(1, node) for node in nodes]
    graph += [(2, b"tiny"), *((11, _value(name, _INT64, ["batch", "tokens"])) for name in names)]
    graph += [(12, _value("last_hidden_state", _FLOAT, ["batch", "tokens", "size"]))]
    return _message([(1, 7), (7, _message(graph)), (8, _message([(2, 11)]))])


def _column(name: str) -> list[bytes]:
    return [
        _node("Cast", [name], f"{name}_float", _attribute("to", _FLOAT)),
        _node("Unsqueeze", [f"{name}_float"], f"{name}_column", _attribute("axes", [2])),
    ]


def _node(kind: str, inputs: list[str], output: str, attribute: bytes) -> bytes:
    return _message([*((1, one.encode()) for one in inputs), (2, output.encode()), (4, kind.encode()), (5, attribute)])


def _attribute(name: str, value: int | list[int]) -> bytes:
    if isinstance(value, int):
        return _message([(1, name.encode()), (3, value), (20, _INT)])
    return _message([(1, name.encode()), *((8, one) for one in value), (20, _INTS)])


def _value(name: str, kind: int, dimensions: list[str]) -> bytes:
    shape = _message([(1, _message([(2, one.encode())])) for one in dimensions])
    return _message([(1, name.encode()), (2, _message([(1, _message([(1, kind), (2, shape)]))]))])


def _message(fields: list[tuple[int, Any]]) -> bytes:
    """Of protobuf: numbers and bytes."""
    made = b""
    for number, value in fields:
        if isinstance(value, int):
            made += _number(number << 3) + _number(value)
        else:
            made += _number(number << 3 | 2) + _number(len(value)) + value
    return made


def _number(value: int) -> bytes:
    made = b""
    while value > 0x7F:
        made += struct.pack("B", value & 0x7F | 0x80)
        value >>= 7
    return made + struct.pack("B", value)
