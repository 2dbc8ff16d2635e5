#include "CSeccomp.h"

#include <errno.h>
#include <seccomp.h>

static uint32_t action_of(unsigned action, unsigned data) {
    switch (action) {
    case CSECCOMP_KILL_THREAD: return SCMP_ACT_KILL_THREAD;
    case CSECCOMP_KILL_PROCESS: return SCMP_ACT_KILL_PROCESS;
    case CSECCOMP_TRAP: return SCMP_ACT_TRAP;
    case CSECCOMP_ERRNO: return SCMP_ACT_ERRNO(data);
    case CSECCOMP_TRACE: return SCMP_ACT_TRACE(data);
    case CSECCOMP_ALLOW: return SCMP_ACT_ALLOW;
    default: return SCMP_ACT_LOG;
    }
}

void *cseccomp_new(unsigned action, unsigned data) { return seccomp_init(action_of(action, data)); }

void cseccomp_free(void *filter) { seccomp_release(filter); }

uint32_t cseccomp_architecture(const char *name) { return seccomp_arch_resolve_name(name); }

int cseccomp_add_architecture(void *filter, uint32_t token) {
    int result = seccomp_arch_add(filter, token);
    return result == -EEXIST ? 0 : result;
}

int cseccomp_call(const char *name) { return seccomp_syscall_resolve_name(name); }

int cseccomp_call_of(uint32_t architecture, const char *name) { return seccomp_syscall_resolve_name_arch(architecture, name); }

int cseccomp_add_rule(
    void *filter, unsigned action, unsigned data, int call, const struct cseccomp_condition *conditions,
    unsigned count) {
    struct scmp_arg_cmp arguments[6];
    if (count > 6) return -EINVAL;
    for (unsigned i = 0; i < count; i++) {
        arguments[i] = (struct scmp_arg_cmp){
            .arg = conditions[i].argument,
            .op = (enum scmp_compare)conditions[i].compare,
            .datum_a = conditions[i].a,
            .datum_b = conditions[i].b,
        };
    }
    return seccomp_rule_add_array(filter, action_of(action, data), call, count, arguments);
}

int cseccomp_export(void *filter, int descriptor) { return seccomp_export_bpf(filter, descriptor); }
