/* SPDX-License-Identifier: MIT */
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "json/object.h"
#include "json/values.h"

static const char no_counterpart[] = "Linux keeps no such number for a process.";

static void put_relatives(pi_json_object *object, const procinspect_process_info *info) {
    pi_json_document *document = object->document;
    json_t *no_parent = pi_json_href(document, -1, "");
    if (pi_json_knows(object, "parent", PROCINSPECT_PROCESS_PARENT, no_parent))
        pi_json_put(object, "parent",
                    pi_json_href(document, info->parent_pid > 0 ? info->parent_pid : -1, ""));

    if (!pi_json_knows(object, "children", PROCINSPECT_PROCESS_CHILDREN, json_array()))
        return;
    json_t *children = json_array();
    for (size_t i = 0; i < info->child_count && !document->failed; i++)
        pi_json_append(document, children, pi_json_href(document, info->child_pids[i], ""));
    pi_json_put(object, "children", children);
}

static json_t *open_file_names(pi_json_document *document, const procinspect_open_file_list *list) {
    json_t *names = json_array();
    for (size_t i = 0; list != NULL && i < list->count && !document->failed; i++)
        pi_json_append(document, names, pi_json_text(document, list->items[i]->name));
    return names;
}

static void put_parts(pi_json_object *object, const procinspect_process_info *info) {
    pi_json_document *document = object->document;
    if (pi_json_knows(object, "threads", PROCINSPECT_PROCESS_THREADS, json_array()))
        pi_json_put(object, "threads", pi_json_thread_items(document, info->threads));
    if (pi_json_knows(object, "modules", PROCINSPECT_PROCESS_MODULES, json_array()))
        pi_json_put(object, "modules", pi_json_module_items(document, info->modules));
    if (pi_json_knows(object, "open_file_handles", PROCINSPECT_PROCESS_OPEN_FILES, json_array()))
        pi_json_put(object, "open_file_handles", open_file_names(document, info->open_files));
}

static void put_counts_and_times(pi_json_object *object, const procinspect_process_info *info) {
    size_t module_count = info->modules != NULL ? info->modules->count : 0;
    pi_json_put_count(object, "handle_count", PROCINSPECT_PROCESS_OPEN_FILE_COUNT,
                      info->open_file_count);
    pi_json_put_count(object, "module_count", PROCINSPECT_PROCESS_MODULES, module_count);
    pi_json_put_count(object, "thread_count", PROCINSPECT_PROCESS_THREAD_COUNT, info->thread_count);

    uint64_t total_ns = info->user_cpu_time_ns;
    if (__builtin_add_overflow(total_ns, info->kernel_cpu_time_ns, &total_ns))
        total_ns = UINT64_MAX;
    pi_json_put_instant(object, "start_time", PROCINSPECT_PROCESS_START_TIME,
                        info->start_time_unix_ns);
    pi_json_put_span(object, "total_cpu_time", PROCINSPECT_PROCESS_CPU_TIME, total_ns);
    pi_json_put_span(object, "user_cpu_time", PROCINSPECT_PROCESS_CPU_TIME, info->user_cpu_time_ns);
    pi_json_put_span(object, "privileged_cpu_time", PROCINSPECT_PROCESS_CPU_TIME,
                     info->kernel_cpu_time_ns);
}

static void put_memory(pi_json_object *object, const procinspect_process_info *info) {
    pi_json_put_size(object, "working_set", PROCINSPECT_PROCESS_RESIDENT_MEMORY,
                     info->resident_memory_bytes);
    pi_json_put_size(object, "peak_working_set", PROCINSPECT_PROCESS_PEAK_RESIDENT_MEMORY,
                     info->peak_resident_memory_bytes);
    pi_json_put_size(object, "private_memory", PROCINSPECT_PROCESS_DATA_MEMORY,
                     info->data_memory_bytes);
    pi_json_put_size(object, "virtual_memory", PROCINSPECT_PROCESS_VIRTUAL_MEMORY,
                     info->virtual_memory_bytes);
    pi_json_put_size(object, "peak_virtual_memory", PROCINSPECT_PROCESS_PEAK_VIRTUAL_MEMORY,
                     info->peak_virtual_memory_bytes);
    pi_json_put_unavailable(object, "paged_system_memory", json_integer(PI_UNKNOWN_NUMBER),
                            no_counterpart);
    pi_json_put_unavailable(object, "non_paged_system_memory", json_integer(PI_UNKNOWN_NUMBER),
                            no_counterpart);
    pi_json_put_size(object, "paged_memory", PROCINSPECT_PROCESS_SWAPPED_MEMORY,
                     info->swapped_memory_bytes);
    pi_json_put_unavailable(object, "peak_paged_memory", json_integer(PI_UNKNOWN_NUMBER),
                            no_counterpart);
}

/* "WebJob: NAME, Type: TYPE" of a web job, else null. */
static json_t *web_job_text(pi_json_document *document, const procinspect_process_info *info) {
    if (!info->is_web_job || info->web_job_name == NULL)
        return json_null();
    const char *type = info->web_job_type;
    const char *between = type != NULL ? ", Type: " : "";
    if (type == NULL)
        type = "";
    size_t capacity =
        strlen("WebJob: ") + strlen(info->web_job_name) + strlen(between) + strlen(type) + 1;
    char *text = pi_arena_alloc(document->arena, capacity);
    if (text == NULL)
        return NULL;
    snprintf(text, capacity, "WebJob: %s%s%s", info->web_job_name, between, type);
    return pi_json_text(document, text);
}

/* Both its parts are values of environment variables. */
static void put_description(pi_json_object *object, const procinspect_process_info *info) {
    bool redact = (object->document->options.flags & PROCINSPECT_JSON_REDACT) != 0;
    if (!pi_json_knows(object, "description", PROCINSPECT_PROCESS_WEB_JOB, json_null()))
        return;
    if (redact && info->web_job_name != NULL)
        pi_json_put_unavailable(object, "description", json_null(),
                                "Values of environment variables are redacted, and this is made of "
                                "two.");
    else
        pi_json_put(object, "description", web_job_text(object->document, info));
}

static void put_environment(pi_json_object *object, const procinspect_process_info *info) {
    if (pi_json_knows(object, "environment_variables", PROCINSPECT_PROCESS_ENVIRONMENT,
                      json_object()))
        pi_json_put(object, "environment_variables",
                    pi_json_variables(object->document, info->environment));
    pi_json_put_boolean(object, "is_scm_site", PROCINSPECT_PROCESS_SITE_ROLE,
                        info->is_management_site);
    pi_json_put_boolean(object, "is_webjob", PROCINSPECT_PROCESS_SITE_ROLE, info->is_web_job);
    put_description(object, info);
}

/* When the answer was made. */
static json_t *time_stamp(void) {
    struct timespec now = {0};
    clock_gettime(CLOCK_REALTIME, &now);
    char text[PI_INSTANT_CAPACITY];
    pi_format_instant(text, (int64_t)now.tv_sec * 1000000000 + now.tv_nsec);
    return json_string_nocheck(text);
}

static json_t *process_object(pi_json_document *document, const procinspect_process_info *info) {
    pi_json_object object;
    pi_json_object_begin(&object, document, info->known, info->unavailable,
                         info->unavailable_count);
    pi_json_put_process_item(&object, info);
    pi_json_put(&object, "minidump", pi_json_href(document, info->pid, "/dump"));
    put_relatives(&object, info);
    put_parts(&object, info);
    if (pi_json_knows(&object, "file_name", PROCINSPECT_PROCESS_EXECUTABLE,
                      json_string_nocheck("N/A")))
        pi_json_put(&object, "file_name", pi_json_text(document, info->executable_path));
    pi_json_put_text(&object, "command_line", PROCINSPECT_PROCESS_COMMAND_LINE, info->command_line);
    put_counts_and_times(&object, info);
    put_memory(&object, info);
    pi_json_put(&object, "time_stamp", time_stamp());
    put_environment(&object, info);
    return pi_json_object_end(&object);
}

int32_t procinspect_json_process(const procinspect_process_info *info,
                                 const procinspect_json_options *options,
                                 const procinspect_json **json, procinspect_error *error) {
    pi_json_document document;
    int32_t code =
        pi_json_document_begin(&document, "procinspect_json_process", info, json, options, error);
    if (code != PROCINSPECT_OK)
        return code;
    return pi_json_document_end(&document, process_object(&document, info), json, error);
}
