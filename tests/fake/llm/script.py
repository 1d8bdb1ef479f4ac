"""What the model answers: read from the prompt itself, or from a file.

A line that begins with + and a word is a step (+bash git commit); see tests/fake/README. Steps
are dealt out over the calls of one turn: a reply ends with the tool it wants
used, and the number of tools that were used since the prompt says which reply
is next. So nothing need be remembered here, and an agent that was killed and
resumed goes on where it was.
"""

import json
import re

TOOLS = ("write", "read", "bash", "tool")
STEP = re.compile(r"^\s*\+(say|think|slow|huge|hang|cut|garbage|status|usage|"
                  r"recall|write|read|bash|tool)(?:[ \t]+(.*))?$")


class Reply:
    def __init__(self):
        self.texts, self.thoughts, self.tool = [], [], None
        self.hang = self.cut = self.garbage = False
        self.status, self.delay = None, 0
        self.usage = (1000, 50)

    def text(self):
        return "\n".join(self.texts)


def unescape(text):
    return text.replace("\\n", "\n").replace("\\t", "\t")


def steps(text):
    found = (STEP.match(line) for line in text.splitlines())
    return [(m.group(1), m.group(2) or "") for m in found if m]


def tool_of(word, rest):
    """("write", {...}) in our own terms; adapt() puts it into the agent's."""
    first, _, tail = rest.partition(" ")
    if word == "write":
        return ("write", {"path": first, "content": unescape(tail) + "\n"})
    if word == "read":
        return ("read", {"path": rest})
    if word == "bash":
        return ("bash", {"command": unescape(rest)})
    return ("=" + first, json.loads(tail or "{}"))


def simple(reply, word, rest, turn):
    """A step that is no tool."""
    if word == "say":
        reply.texts.append(unescape(rest))
    elif word == "think":
        reply.thoughts.append(unescape(rest))
    elif word == "slow":
        delay, _, text = rest.partition(" ")
        reply.delay = int(delay) / 1000
        reply.texts.append(unescape(text))
    elif word == "huge":
        line = "0123456789abcdef" * 4 + "\n"
        reply.texts.append((line * (int(rest) // len(line) + 1))[:int(rest)])
    elif word == "status":
        words = rest.split()
        words += ["0", "-1"][len(words) - 1:]  # seconds, times
        reply.status = tuple(int(w) for w in words)
    elif word == "usage":
        reply.usage = tuple(int(w) for w in rest.split())
    elif word == "recall":
        reply.texts.append("prompts: " + " | ".join(turn.history))
    else:
        setattr(reply, word, True)


def replies(found, turn):
    all_of_them, now, usage = [], Reply(), None
    for word, rest in found:
        if word == "usage":
            usage = rest
        if word in TOOLS:
            now.tool = tool_of(word, rest)
            all_of_them.append(now)
            now = Reply()
        else:
            simple(now, word, rest, turn)
    all_of_them.append(now)
    for reply in all_of_them:
        if usage:
            simple(reply, "usage", usage, turn)
    return all_of_them


class Turn:
    """One call, as the script sees it; filled in by the API's own module."""

    def __init__(self):
        self.prompts = []  # [(text, tools used since)], the last one is now
        self.tools = []  # names that the agent offers
        self.model, self.stream = "", False

    def ask(self, text):
        self.prompts.append([text, 0])

    def used(self):
        if self.prompts:
            self.prompts[-1][1] += 1

    @property
    def prompt(self):
        return self.prompts[-1][0] if self.prompts else ""

    @property
    def step(self):
        return self.prompts[-1][1] if self.prompts else 0

    @property
    def history(self):
        return [first_line(text) for text, _ in self.prompts[:-1]]


def first_line(text):
    for line in text.splitlines():
        if line.strip() and not line.startswith("<"):
            return line.strip()[:80]
    return ""


def decide(turn, script):
    """The reply to this call."""
    found = steps(turn.prompt) or script
    if not turn.tools:  # a title, a summary: not the turn itself
        reply = Reply()
        reply.texts = ["A title"]
        return reply
    if not found:
        reply = Reply()
        reply.texts = ["You said: " + first_line(turn.prompt)]
        return reply
    every = replies(found, turn)
    reply = every[min(turn.step, len(every) - 1)]
    if reply.tool:
        reply.tool = adapt(reply.tool, turn.tools)
    elif not (reply.texts or reply.status or reply.hang or reply.cut):
        reply.texts = ["Done."]
    return reply


# The same three tools under the names and arguments of each agent.
NAMES = {
    "write": (("Write", ("file_path", "content")),
              ("write", ("filePath", "content")),
              ("write_file", ("file_path", "content"))),
    "read": (("Read", ("file_path",)), ("read", ("filePath",)),
             ("read_file", ("file_path",))),
    "bash": (("Bash", ("command",)), ("bash", ("command",)),
             ("exec_command", ("cmd",)), ("shell_command", ("command",)),
             ("run_shell_command", ("command",)), ("shell", ("command",))),
}


def adapt(tool, offered):
    name, args = tool
    if name.startswith("="):
        return (name[1:], args)
    for theirs, keys in NAMES[name]:
        if theirs in offered:
            values = dict(zip(keys, args.values()))
            if "command" in values:
                values["description"] = "a command"
            return (theirs, values)
    if name == "write":  # by the shell
        return adapt(("bash", {"command": "printf '%s' " + quote(
            args["content"]) + " >" + quote(args["path"])}), offered)
    if name == "read":
        return adapt(("bash", {"command": "cat " + quote(args["path"])}),
                     offered)
    return ("bash", args)


def quote(text):
    return "'" + text.replace("'", "'\\''") + "'"
