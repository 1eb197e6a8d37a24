/* SPDX-License-Identifier: MIT */
#include "model/support_rules.h"

#include <fnmatch.h>
#include <string.h>

/* gdb's own order: beside the module, then where the system's packages put them. */
#define GDB_SCRIPT                                                                                 \
    { "%p-gdb.py", "/usr/share/gdb/auto-load%p-gdb.py" }

const pi_support_rule pi_support_rules[] = {
    {".NET", "libcoreclr.so", PI_SUPPORT_LIBRARY, true, {"%d/libmscordaccore.so"}},
    {".NET", "libcoreclr.so", PI_SUPPORT_LIBRARY, true, {"%d/libmscordbi.so"}},
    {"CPython", "python[23]*", PI_SUPPORT_SCRIPT, true, GDB_SCRIPT},
    {"CPython", "libpython[23].*", PI_SUPPORT_SCRIPT, true, GDB_SCRIPT},
    {"JVM", "libjvm.so", PI_SUPPORT_LIBRARY, true, {"%u/libsaproc.so"}},
    {"gdb script", "*", PI_SUPPORT_SCRIPT, false, GDB_SCRIPT},
};
const size_t pi_support_rule_count = sizeof pi_support_rules / sizeof pi_support_rules[0];

bool pi_support_rule_applies(const pi_support_rule *rule, const char *module_path) {
    const char *name = strrchr(module_path, '/');
    return module_path[0] == '/' && fnmatch(rule->module, name + 1, 0) == 0;
}

/* Length of the directory of this path, without a slash at its end: 0 for the root. */
static size_t directory_length(const char *path, size_t length) {
    while (length > 0 && path[length - 1] != '/')
        length--;
    return length > 0 ? length - 1 : 0;
}

bool pi_support_place(const pi_support_rule *rule, size_t index, const char *module_path,
                      char *path, size_t capacity) {
    const char *place = rule->places[index];
    if (place == NULL)
        return false;
    const char *mark = strchr(place, '%');
    size_t length = strlen(module_path);
    if (mark[1] != 'p')
        length = directory_length(module_path, length);
    if (mark[1] == 'u')
        length = directory_length(module_path, length);
    size_t before = (size_t)(mark - place), after = strlen(mark + 2);
    if (before + length + after >= capacity)
        return false;
    memcpy(path, place, before);
    memcpy(path + before, module_path, length);
    memcpy(path + before + length, mark + 2, after + 1);
    return true;
}
