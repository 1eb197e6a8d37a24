/* SPDX-License-Identifier: MIT */
#include <string.h>

#include "api/context.h"
#include "base/error.h"
#include "base/text.h"

/* The bit of `allow` that an action needs, 0 for none, and how the two are called in messages. */
static const struct {
    uint32_t allow;
    const char *name;
    const char *setting;
} actions[] = {
    [PROCINSPECT_ACTION_LOOK] = {0, "looking at", NULL},
    [PROCINSPECT_ACTION_ENVIRONMENT] = {PROCINSPECT_ALLOW_ENVIRONMENT, "reading the environment of",
                                        "PROCINSPECT_ALLOW_ENVIRONMENT"},
    [PROCINSPECT_ACTION_DUMP] = {PROCINSPECT_ALLOW_DUMP, "taking a dump of",
                                 "PROCINSPECT_ALLOW_DUMP"},
    [PROCINSPECT_ACTION_KILL] = {PROCINSPECT_ALLOW_KILL, "ending", "PROCINSPECT_ALLOW_KILL"},
};

static int32_t check_scope(const procinspect_context *context, uint32_t action, int32_t pid,
                           uint32_t owner, procinspect_error *error) {
    if (context->options.user_scope == PROCINSPECT_USER_SCOPE_ALL || owner == pi_own_user_id())
        return PROCINSPECT_OK;
    return pi_error_set(error, PROCINSPECT_ERROR_POLICY, 0,
                        "The host's policy refuses %s process %d: it belongs to user %u, and the "
                        "host allows only processes of its own user %u "
                        "(PROCINSPECT_USER_SCOPE_OWN).",
                        actions[action].name, (int)pid, (unsigned)owner,
                        (unsigned)pi_own_user_id());
}

int pi_policy_authorizes(const procinspect_context *context, uint32_t action, int32_t pid,
                         uint32_t owner) {
    const procinspect_context_options *options = &context->options;
    procinspect_access access = {.action = action, .pid = pid, .user_id = owner};
    return options->authorize == NULL || options->authorize(options->authorize_user, &access) == 0;
}

int32_t pi_policy_check(const procinspect_context *context, uint32_t action,
                        const pi_process *process, procinspect_error *error) {
    const procinspect_context_options *options = &context->options;
    int32_t pid = pi_process_pid(process);
    uint32_t owner;
    int32_t code = pi_process_user_id(process, &owner, error);
    if (code == PROCINSPECT_OK)
        code = check_scope(context, action, pid, owner, error);
    if (code != PROCINSPECT_OK)
        return code;
    if ((options->allow & actions[action].allow) != actions[action].allow)
        return pi_error_set(error, PROCINSPECT_ERROR_POLICY, 0,
                            "The host's policy refuses %s process %d: the host has to allow it "
                            "(%s in its context).",
                            actions[action].name, (int)pid, actions[action].setting);
    if (!pi_policy_authorizes(context, action, pid, owner))
        return pi_error_set(error, PROCINSPECT_ERROR_POLICY, 0,
                            "The host's policy refuses %s process %d: its authorize callback "
                            "said no.",
                            actions[action].name, (int)pid);
    return PROCINSPECT_OK;
}

/* A pattern is a name, with a '*' for any text at its start, its end, or both. */
static bool pattern_matches(const char *pattern, const char *name, size_t name_length) {
    size_t length = strlen(pattern);
    bool open_start = length != 0 && pattern[0] == '*';
    bool open_end = length > (open_start ? 1u : 0u) && pattern[length - 1] == '*';
    const char *part = pattern + (open_start ? 1 : 0);
    size_t part_length = length - (open_start ? 1 : 0) - (open_end ? 1 : 0);
    if (part_length > name_length)
        return false;
    if (open_start && open_end)
        return pi_ascii_contains_ignoring_case(name, name_length, part, part_length);
    if (open_start)
        name += name_length - part_length;
    if (open_start || open_end)
        name_length = part_length;
    return pi_ascii_equal_ignoring_case(name, name_length, part, part_length);
}

int pi_policy_redacts(const procinspect_context *context, const char *name, size_t name_length) {
    for (size_t i = 0; i < context->options.redacted_name_count; i++)
        if (pattern_matches(context->redacted_names[i], name, name_length))
            return 1;
    return 0;
}
