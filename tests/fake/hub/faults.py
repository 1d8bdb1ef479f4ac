"""Faults put in by a test: what to do wrong, to which calls, how often."""

import re
import threading

KNOWN = {"match", "status", "headers", "body", "delay_ms", "cut", "times",
         "after", "drop", "copies", "reorder"}


class Faults:
    def __init__(self):
        self.lock = threading.Lock()
        self.rows = []

    def add(self, spec):
        """Raise ValueError for a fault that could never do anything."""
        extra = set(spec) - KNOWN
        if extra:
            raise ValueError(f"unknown fault keys: {sorted(extra)}")
        match = spec.get("match", {})
        row = dict(spec, times=spec.get("times", 1), hits=0)
        row["method"] = match.get("method", "*").upper()
        row["path"] = match.get("path", "")
        re.compile(row["path"])
        with self.lock:
            self.rows.append(row)
        return row

    def take(self, method, path):
        """The first fault for this call, used up by one; or None."""
        with self.lock:
            for row in self.rows:
                wanted = row["method"]
                if wanted == "*" and method == "HOOK":
                    continue
                if row["times"] == 0 or wanted not in ("*", method):
                    continue
                if re.search(row["path"], path):
                    row["times"] -= 1
                    row["hits"] += 1
                    return row
        return None

    def clear(self):
        with self.lock:
            self.rows.clear()
