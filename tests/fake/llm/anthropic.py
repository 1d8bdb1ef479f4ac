"""Anthropic Messages: POST /v1/messages, count_tokens, GET /v1/models."""

import json
import uuid

from llm.script import Turn

MODELS = ("claude-sonnet-4-6", "claude-haiku-4-5", "claude-opus-4-8")


def blocks(content):
    if isinstance(content, str):
        return [{"type": "text", "text": content}]
    return content or []


def read(body):
    turn = Turn()
    turn.model = body.get("model", "")
    turn.stream = bool(body.get("stream"))
    turn.tools = [t.get("name", "") for t in body.get("tools", [])]
    for message in body.get("messages", []):
        parts = blocks(message.get("content"))
        if message.get("role") == "assistant":
            for part in parts:
                if part.get("type") == "tool_use":
                    turn.used()
            continue
        if message.get("role") != "user":
            continue
        # An agent may join prompts when nothing was said between them.
        for text in (p["text"] for p in parts if p.get("type") == "text"):
            if text and not text.startswith(("<system-reminder>",
                                             "[Request interrupted")):
                turn.ask(text)
    return turn


def usage(reply, out):
    return {"input_tokens": reply.usage[0], "output_tokens": out,
            "cache_creation_input_tokens": 0, "cache_read_input_tokens": 0}


def content(reply):
    parts = [{"type": "thinking", "thinking": t, "signature": "c2ln"}
             for t in reply.thoughts]
    if reply.text():
        parts.append({"type": "text", "text": reply.text()})
    if reply.tool:
        parts.append({"type": "tool_use", "id": "toolu_" + uuid.uuid4().hex,
                      "name": reply.tool[0], "input": reply.tool[1]})
    return parts


def message(turn, reply, parts, out):
    return {"id": "msg_" + uuid.uuid4().hex, "type": "message",
            "role": "assistant", "model": turn.model, "content": parts,
            "stop_reason": None, "stop_sequence": None,
            "usage": usage(reply, out)}


def whole(turn, reply):
    answer = message(turn, reply, content(reply), reply.usage[1])
    answer["stop_reason"] = "tool_use" if reply.tool else "end_turn"
    return answer


def pieces(text, words):
    """Deltas: words when they are to be seen coming, else 4 KiB each."""
    if words:
        return [w + " " for w in text.split(" ")]
    return [text[i:i + 4096] for i in range(0, len(text), 4096)]


def deltas(part, slow):
    kind = part["type"]
    if kind == "text":
        start = {"type": "text", "text": ""}
        return start, [{"type": "text_delta", "text": p}
                       for p in pieces(part["text"], slow)]
    if kind == "thinking":
        start = {"type": "thinking", "thinking": "", "signature": ""}
        return start, [{"type": "thinking_delta",
                        "thinking": part["thinking"]},
                       {"type": "signature_delta", "signature": "c2ln"}]
    start = dict(part, input={})
    return start, [{"type": "input_json_delta", "partial_json": p}
                   for p in pieces(json.dumps(part["input"]), False)]


def event(kind, **fields):
    return f"event: {kind}\ndata: {json.dumps({'type': kind, **fields})}\n\n"


def stream(turn, reply):
    yield event("message_start", message=message(turn, reply, [], 1))
    yield event("ping")
    for index, part in enumerate(content(reply)):
        start, parts = deltas(part, reply.delay)
        yield event("content_block_start", index=index, content_block=start)
        for delta in parts:
            yield event("content_block_delta", index=index, delta=delta)
        yield event("content_block_stop", index=index)
    yield event("message_delta", delta={
        "stop_reason": "tool_use" if reply.tool else "end_turn",
        "stop_sequence": None}, usage=usage(reply, reply.usage[1]))
    yield event("message_stop")


def error(status, text):
    kind = {401: "authentication_error", 404: "not_found_error",
            429: "rate_limit_error", 529: "overloaded_error"}.get(
                status, "api_error" if status >= 500 else
                "invalid_request_error")
    return {"type": "error", "error": {"type": kind, "message": text}}


def limits(status, after, now):
    """The headers by which an agent knows when it may go on."""
    if status != 429:
        return {}
    return {"anthropic-ratelimit-unified-status": "rejected",
            "anthropic-ratelimit-unified-reset": str(int(now + after)),
            "anthropic-ratelimit-unified-representative-claim": "five_hour"}


def models():
    return {"data": [{"type": "model", "id": m, "display_name": m,
                      "created_at": "2026-01-01T00:00:00Z"} for m in MODELS],
            "has_more": False, "first_id": MODELS[0], "last_id": MODELS[-1]}


def count(body):
    return {"input_tokens": max(1, len(json.dumps(body)) // 4)}
