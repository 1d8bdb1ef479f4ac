"""OpenAI: POST /v1/chat/completions and /v1/responses, GET /v1/models."""

import json
import time
import uuid

from llm.anthropic import pieces
from llm.script import Turn

MODELS = ("gpt-5.5", "gpt-5.5-mini")


def text_of(content):
    if isinstance(content, str):
        return content
    return "\n".join(p.get("text", "") for p in content or []
                     if p.get("type") in ("text", "input_text"))


def error(status, text):
    return {"error": {"message": text, "type": "invalid_request_error"
                      if status < 500 else "server_error", "param": None,
                      "code": "rate_limit_exceeded" if status == 429
                      else None}}


def models():
    return {"object": "list", "data": [
        {"id": m, "object": "model", "created": 1767225600,
         "owned_by": "forge"} for m in MODELS]}


# ---- chat completions ----

def read_chat(body):
    turn = Turn()
    turn.model = body.get("model", "")
    turn.stream = bool(body.get("stream"))
    turn.tools = [t.get("function", {}).get("name", "")
                  for t in body.get("tools", [])]
    for message in body.get("messages", []):
        if message.get("role") == "user":
            turn.ask(text_of(message.get("content")))
        elif message.get("role") == "assistant":
            for _ in message.get("tool_calls") or []:
                turn.used()
    return turn


def chat_usage(reply):
    given, taken = reply.usage
    return {"prompt_tokens": given, "completion_tokens": taken,
            "total_tokens": given + taken}


def chat_call(reply):
    return {"index": 0, "id": "call_" + uuid.uuid4().hex, "type": "function",
            "function": {"name": reply.tool[0],
                         "arguments": json.dumps(reply.tool[1])}}


def whole_chat(turn, reply):
    message = {"role": "assistant", "content": reply.text() or None}
    if reply.tool:
        message["tool_calls"] = [chat_call(reply)]
    return {"id": "chatcmpl-" + uuid.uuid4().hex, "object": "chat.completion",
            "created": int(time.time()), "model": turn.model, "choices": [
                {"index": 0, "message": message, "finish_reason":
                 "tool_calls" if reply.tool else "stop"}],
            "usage": chat_usage(reply)}


def stream_chat(turn, reply):
    ident, made = "chatcmpl-" + uuid.uuid4().hex, int(time.time())

    def chunk(delta, finish=None, usage=None):
        data = {"id": ident, "object": "chat.completion.chunk",
                "created": made, "model": turn.model, "usage": usage,
                "choices": [] if usage else [
                    {"index": 0, "delta": delta, "finish_reason": finish}]}
        return f"data: {json.dumps(data)}\n\n"

    yield chunk({"role": "assistant", "content": ""})
    for thought in reply.thoughts:
        yield chunk({"reasoning_content": thought})
    for piece in pieces(reply.text(), reply.delay) if reply.text() else []:
        yield chunk({"content": piece})
    if reply.tool:
        yield chunk({"tool_calls": [chat_call(reply)]})
    yield chunk({}, "tool_calls" if reply.tool else "stop")
    yield chunk({}, usage=chat_usage(reply))
    yield "data: [DONE]\n\n"


# ---- responses ----

def read_responses(body):
    turn = Turn()
    turn.model = body.get("model", "")
    turn.stream = bool(body.get("stream"))
    turn.tools = [t.get("name") or t.get("type", "")
                  for t in body.get("tools", [])]
    given = body.get("input", [])
    if isinstance(given, str):
        given = [{"type": "message", "role": "user", "content": given}]
    for item in given:
        kind = item.get("type", "message")
        if kind == "message" and item.get("role") == "user":
            turn.ask(text_of(item.get("content")))
        elif kind in ("function_call", "custom_tool_call",
                      "local_shell_call"):
            turn.used()
    return turn


def output(reply):
    items = []
    if reply.text():
        items.append({"type": "message", "id": "msg_" + uuid.uuid4().hex,
                      "role": "assistant", "status": "completed", "content": [
                          {"type": "output_text", "text": reply.text(),
                           "annotations": []}]})
    if reply.tool:
        items.append({"type": "function_call", "id": "fc_" + uuid.uuid4().hex,
                      "call_id": "call_" + uuid.uuid4().hex,
                      "name": reply.tool[0], "status": "completed",
                      "arguments": json.dumps(reply.tool[1])})
    return items


def response(turn, reply, items, status):
    given, taken = reply.usage
    done = status == "completed"
    return {"id": "resp_" + uuid.uuid4().hex, "object": "response",
            "created_at": int(time.time()), "status": status,
            "model": turn.model, "output": items, "usage": {
                "input_tokens": given, "output_tokens": taken,
                "total_tokens": given + taken,
                "input_tokens_details": {"cached_tokens": 0},
                "output_tokens_details": {"reasoning_tokens": 0},
            } if done else None}


def whole_responses(turn, reply):
    return response(turn, reply, output(reply), "completed")


def stream_responses(turn, reply):
    number = 0

    def event(kind, **fields):
        nonlocal number
        data = {"type": kind, "sequence_number": number, **fields}
        number += 1
        return f"event: {kind}\ndata: {json.dumps(data)}\n\n"

    yield event("response.created",
                response=response(turn, reply, [], "in_progress"))
    items = output(reply)
    for index, item in enumerate(items):
        empty = dict(item, status="in_progress")
        if item["type"] == "message":
            empty["content"] = []
        else:
            empty["arguments"] = ""
        yield event("response.output_item.added", output_index=index,
                    item=empty)
        if item["type"] == "message":
            for piece in pieces(reply.text(), reply.delay):
                yield event("response.output_text.delta", delta=piece,
                            item_id=item["id"], output_index=index,
                            content_index=0)
        yield event("response.output_item.done", output_index=index,
                    item=item)
    yield event("response.completed",
                response=response(turn, reply, items, "completed"))
