"""The program that libseccomp makes of a linux.seccomp in the way of the OCI specification: JSON in, BPF out.

For a test of our own compiler, with which this has nothing in common but libseccomp: its functions are called through
ctypes, and their names and numbers are those of seccomp.h.
"""

import ctypes
import json
import os
import sys

ACTIONS = {
    "SCMP_ACT_KILL": 0x00000000,
    "SCMP_ACT_KILL_THREAD": 0x00000000,
    "SCMP_ACT_KILL_PROCESS": 0x80000000,
    "SCMP_ACT_TRAP": 0x00030000,
    "SCMP_ACT_ERRNO": 0x00050000,
    "SCMP_ACT_TRACE": 0x7FF00000,
    "SCMP_ACT_LOG": 0x7FFC0000,
    "SCMP_ACT_ALLOW": 0x7FFF0000,
}
OPERATORS = ["NE", "LT", "LE", "EQ", "GE", "GT", "MASKED_EQ"]
EPERM, EEXIST = 1, 17
UNKNOWN = -1


class Comparison(ctypes.Structure):
    _fields_ = [("arg", ctypes.c_uint), ("op", ctypes.c_int), ("a", ctypes.c_uint64), ("b", ctypes.c_uint64)]


def action(name, errno):
    data = EPERM if errno is None else errno
    return ctypes.c_uint32(ACTIONS[name] | (data if name in ("SCMP_ACT_ERRNO", "SCMP_ACT_TRACE") else 0))


def comparison(argument):
    op = OPERATORS.index(argument["op"].removeprefix("SCMP_CMP_")) + 1
    return Comparison(argument["index"], op, argument["value"], argument.get("valueTwo", 0))


def must(result, what, allowed=()):
    if result < 0 and -result not in allowed:
        sys.exit(f"{what}: {os.strerror(-result)}")


def main():
    library = ctypes.CDLL("libseccomp.so.2")
    library.seccomp_init.restype = ctypes.c_void_p
    profile = json.load(sys.stdin)
    default = action(profile["defaultAction"], profile.get("defaultErrnoRet"))
    context = ctypes.c_void_p(library.seccomp_init(default))
    for name in profile.get("architectures", []):
        token = library.seccomp_arch_resolve_name(name.removeprefix("SCMP_ARCH_").lower().encode())
        must(library.seccomp_arch_add(context, ctypes.c_uint32(token)), name, [EEXIST])
    for rule in profile.get("syscalls", []):
        verdict = action(rule["action"], rule.get("errnoRet"))
        if verdict.value == default.value:
            continue
        conditions = [comparison(argument) for argument in rule.get("args") or []]
        # runc: several on the same argument are rules of their own.
        indexes = [condition.arg for condition in conditions]
        groups = [conditions] if len(set(indexes)) == len(indexes) else [[condition] for condition in conditions]
        for name in rule["names"]:
            number = library.seccomp_syscall_resolve_name(name.encode())
            if number == UNKNOWN:
                continue
            for group in groups:
                array = (Comparison * max(len(group), 1))(*group)
                must(library.seccomp_rule_add_array(context, verdict, number, len(group), array), name)
    sys.stdout.flush()
    must(library.seccomp_export_bpf(context, sys.stdout.fileno()), "export")


main()
