/* SPDX-License-Identifier: MIT */
#include <inttypes.h>
#include <stdio.h>

#include "json/object.h"

/*
 * .NET's ThreadState of the kernel's letter, as .NET maps them on Linux; but 'I', a kernel thread's
 * idle sleep, is a Wait here, where .NET says Ready.
 */
static const char *state_name(uint32_t os_state) {
    switch (os_state) {
    case 'R':
        return "Running";
    case 'S':
    case 'D':
    case 'T':
    case 't':
    case 'I':
    case 'P':
        return "Wait";
    case 'Z':
    case 'X':
    case 'x':
        return "Terminated";
    case 'K':
    case 'W':
        return "Transition";
    default:
        return "Unknown";
    }
}

static json_t *thread_href(pi_json_document *document, const procinspect_thread_info *info) {
    char tail[24];
    snprintf(tail, sizeof tail, "/threads/%" PRId32, info->tid);
    return pi_json_href(document, info->pid, tail);
}

static void put_thread_item(pi_json_object *object, const procinspect_thread_info *info) {
    pi_json_put(object, "id", json_integer(info->tid));
    pi_json_put(object, "href", thread_href(object->document, info));
    if (pi_json_knows(object, "state", PROCINSPECT_THREAD_STATE, json_null()))
        pi_json_put(object, "state", json_string_nocheck(state_name(info->os_state)));
}

json_t *pi_json_thread_items(pi_json_document *document, const procinspect_thread_list *list) {
    json_t *array = json_array();
    for (size_t i = 0; list != NULL && i < list->count && !document->failed; i++) {
        const procinspect_thread_info *info = list->items[i];
        pi_json_object object;
        pi_json_object_begin(&object, document, info->known, info->unavailable,
                             info->unavailable_count);
        put_thread_item(&object, info);
        pi_json_append(document, array, pi_json_item_end(&object));
    }
    return array;
}

/*
 * .NET's ThreadPriorityLevel, which on Linux it derives from the nice value in these steps. One
 * differs: −5 to −1 are Normal here, where .NET calls them BelowNormal although such a thread gets
 * more than its share.
 */
static const char *priority_level(int32_t nice) {
    if (nice < -15)
        return "TimeCritical";
    if (nice < -10)
        return "Highest";
    if (nice < -5)
        return "AboveNormal";
    if (nice <= 0)
        return "Normal";
    if (nice <= 5)
        return "BelowNormal";
    return nice <= 10 ? "Lowest" : "Idle";
}

/*
 * On Linux .NET answers nice values for both: the process's as base_priority, the thread's own as
 * current_priority. The kernel keeps nice for each thread and none for the process, so both are the
 * thread's own. A thread with nice −1 answers −1 as one whose priority is unknown does:
 * `unavailable` tells them apart.
 */
static void put_priority(pi_json_object *object, const procinspect_thread_info *info) {
    pi_json_put_number(object, "current_priority", PROCINSPECT_THREAD_PRIORITY, info->nice);
    pi_json_put_number(object, "base_priority", PROCINSPECT_THREAD_PRIORITY, info->nice);
    pi_json_put_text(object, "priority_level", PROCINSPECT_THREAD_PRIORITY,
                     priority_level(info->nice));
}

/* Kudu's sentence where .NET's state isn't Wait, else .NET's ThreadWaitReason. */
static const char *wait_reason(const procinspect_thread_info *info) {
    if (state_name(info->os_state)[0] != 'W')
        return "Cannot obtain wait reason unless thread is in waiting state";
    switch (info->wait_reason) {
    case PROCINSPECT_WAIT_SUSPENDED:
        return "Suspended";
    case PROCINSPECT_WAIT_DELAY:
        return "ExecutionDelay";
    default:
        return "Unknown";
    }
}

static json_t *os_state_text(uint32_t os_state) {
    char letter = os_state > 0x20 && os_state < 0x7f ? (char)os_state : '?';
    return json_stringn_nocheck(&letter, 1);
}

static json_t *thread_object(pi_json_document *document, const procinspect_thread_info *info) {
    pi_json_object object;
    pi_json_object_begin(&object, document, info->known, info->unavailable,
                         info->unavailable_count);
    put_thread_item(&object, info);
    pi_json_put(&object, "process", pi_json_href(document, info->pid, ""));
    pi_json_put_unavailable(&object, "start_address", json_null(),
                            "Linux doesn't keep where a thread started.");
    put_priority(&object, info);

    uint64_t total_ns = info->user_cpu_time_ns;
    if (__builtin_add_overflow(total_ns, info->kernel_cpu_time_ns, &total_ns))
        total_ns = UINT64_MAX;
    pi_json_put_instant(&object, "start_time", PROCINSPECT_THREAD_START_TIME,
                        info->start_time_unix_ns);
    pi_json_put_span(&object, "total_processor_time", PROCINSPECT_THREAD_CPU_TIME, total_ns);
    pi_json_put_span(&object, "user_processor_time", PROCINSPECT_THREAD_CPU_TIME,
                     info->user_cpu_time_ns);
    pi_json_put_span(&object, "priviledged_processor_time", PROCINSPECT_THREAD_CPU_TIME,
                     info->kernel_cpu_time_ns);

    pi_json_put_text(&object, "wait_reason",
                     PROCINSPECT_THREAD_STATE | PROCINSPECT_THREAD_WAIT_REASON, wait_reason(info));
    pi_json_put_text(&object, "name", PROCINSPECT_THREAD_NAME, info->name);
    if (pi_json_knows(&object, "os_state", PROCINSPECT_THREAD_STATE, json_null()))
        pi_json_put(&object, "os_state", os_state_text(info->os_state));
    return pi_json_object_end(&object);
}

int32_t procinspect_json_thread_list(const procinspect_thread_list *list,
                                     const procinspect_json_options *options,
                                     const procinspect_json **json, procinspect_error *error) {
    pi_json_document document;
    int32_t code = pi_json_document_begin(&document, "procinspect_json_thread_list", list, json,
                                          options, error);
    if (code != PROCINSPECT_OK)
        return code;
    return pi_json_document_end(&document, pi_json_thread_items(&document, list), json, error);
}

int32_t procinspect_json_thread(const procinspect_thread_info *info,
                                const procinspect_json_options *options,
                                const procinspect_json **json, procinspect_error *error) {
    pi_json_document document;
    int32_t code =
        pi_json_document_begin(&document, "procinspect_json_thread", info, json, options, error);
    if (code != PROCINSPECT_OK)
        return code;
    return pi_json_document_end(&document, thread_object(&document, info), json, error);
}
