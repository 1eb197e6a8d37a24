/* SPDX-License-Identifier: MIT */
#ifndef PROCINSPECT_JSON_H
#define PROCINSPECT_JSON_H

#include <procinspect/dump.h>
#include <procinspect/kill.h>
#include <procinspect/process.h>
#include <procinspect/zip_manifest.h>

#ifdef __cplusplus
extern "C" {
#endif

/*
 * JSON of what the library hands out, with the member names and value formats of Kudu's process
 * API, whose clients read it unchanged: instants as 2026-01-02T03:04:05.1234567Z, spans as
 * [-][d.]hh:mm:ss[.fffffff], sizes in bytes. Every member is always present. One that could not be
 * read says so and never looks like a real value: -1 for a number, -00:00:01 for a span,
 * 0001-01-01T00:00:00 for an instant, "N/A" for file_name, null for other text and for booleans, an
 * empty list or object for those; the member `unavailable` maps its name to the reason. In list
 * items `unavailable` is there only where it isn't empty. Counts and module_memory_size saturate at
 * 2147483647, which is what those clients can hold. command_line is cut at 1 MiB, as the struct's.
 *
 * What was not asked for when the struct was read counts as not read.
 */
typedef struct procinspect_json {
    const char *text;    /* UTF-8, NUL-terminated */
    size_t length_bytes; /* without the NUL */
} procinspect_json;

PROCINSPECT_API void procinspect_json_free(const procinspect_json *json);

/* Option flags. */
enum {
    /* Values of environment variables become "[redacted]", and the description of a web job, which
     * is made of two such values, null, with the reason in `unavailable`. command_line stays. */
    PROCINSPECT_JSON_REDACT = 0x1,
    PROCINSPECT_JSON_INDENT = 0x2 /* for people; else compact */
};

typedef struct procinspect_json_options {
    uint32_t struct_size; /* set by _init */
    uint32_t flags;       /* PROCINSPECT_JSON_… */
    /* Put before every href: the URL of the process collection, "http://host/api/processes",
     * without a slash at its end. NULL: "/api/processes". */
    const char *collection_url;
    /* machineName; NULL: the node name of uname(2). */
    const char *machine_name;
} procinspect_json_options;

PROCINSPECT_API void procinspect_json_options_init(procinspect_json_options *options,
                                                   size_t struct_size);

/*
 * Each gives a text that is the caller's, to be freed with procinspect_json_free; options may be
 * NULL. Errors of all of them: INVALID_ARGUMENT, NO_MEMORY, TOO_LARGE (above 256 MiB).
 */

/* Array of list items, sorted by lower-cased name, then pid: id, name, href, machineName,
 * user_name. From PROCINSPECT_PROCESS_NAME | PROCINSPECT_PROCESS_USER_NAME. */
PROCINSPECT_API int32_t procinspect_json_process_list(const procinspect_process_list *list,
                                                      const procinspect_json_options *options,
                                                      const procinspect_json **json,
                                                      procinspect_error *error);
/*
 * Process object. From PROCINSPECT_PROCESS_EVERYTHING. Its members, and those of
 * procinspect_process_info that they are made of:
 *
 *   id, name, href, machineName, user_name       as in the list
 *   minidump                href and "/dump"
 *   parent                  href of parent_pid; "…/-1" where there is none, and where that isn't
 *                           known (`unavailable` tells them apart)
 *   children                array of the hrefs of child_pids
 *   threads, modules        arrays of items, as those of the two lists below
 *   open_file_handles       array of the names in open_files
 *   file_name               executable_path
 *   command_line            command_line
 *   handle_count            open_file_count
 *   module_count            modules->count
 *   thread_count            thread_count
 *   start_time              start_time_unix_ns
 *   total_cpu_time          user_cpu_time_ns + kernel_cpu_time_ns
 *   user_cpu_time           user_cpu_time_ns
 *   privileged_cpu_time     kernel_cpu_time_ns
 *   working_set             resident_memory_bytes
 *   peak_working_set        peak_resident_memory_bytes
 *   private_memory          data_memory_bytes
 *   virtual_memory          virtual_memory_bytes
 *   peak_virtual_memory     peak_virtual_memory_bytes
 *   paged_memory            swapped_memory_bytes
 *   paged_system_memory, non_paged_system_memory, peak_paged_memory
 *                           -1, never available
 *   time_stamp              the instant at which this text was made
 *   environment_variables   environment, as procinspect_json_environment has it
 *   is_scm_site             is_management_site, a boolean
 *   is_webjob               is_web_job, a boolean
 *   description             "WebJob: NAME, Type: TYPE" of web_job_name and web_job_type, without
 *                           ", Type: TYPE" where that is NULL; null where it is no web job
 *   unavailable             object, member → reason
 */
PROCINSPECT_API int32_t procinspect_json_process(const procinspect_process_info *info,
                                                 const procinspect_json_options *options,
                                                 const procinspect_json **json,
                                                 procinspect_error *error);
/* Array of thread items: id, href, state. From PROCINSPECT_THREAD_STATE. */
PROCINSPECT_API int32_t procinspect_json_thread_list(const procinspect_thread_list *list,
                                                     const procinspect_json_options *options,
                                                     const procinspect_json **json,
                                                     procinspect_error *error);
/*
 * Thread object. From PROCINSPECT_THREAD_EVERYTHING. Its members, and those of
 * procinspect_thread_info that they are made of:
 *
 *   id                           tid
 *   href                         the process's, "/threads/" and tid
 *   state                        os_state: "Running" (R), "Wait" (S, D, T, t, I, P), "Terminated"
 *                                (Z, X, x), "Transition" (K, W), else "Unknown"
 *   process                      href of pid
 *   start_address                null, never available
 *   current_priority             nice
 *   base_priority                nice; -1 is also a nice value: `unavailable` tells them apart
 *   priority_level               nice: "TimeCritical" (-20 to -16), "Highest" (to -11),
 *                                "AboveNormal" (to -6), "Normal" (to 0), "BelowNormal" (to 5),
 *                                "Lowest" (to 10), "Idle" (to 19)
 *   start_time                   start_time_unix_ns
 *   total_processor_time         user_cpu_time_ns + kernel_cpu_time_ns
 *   user_processor_time          user_cpu_time_ns
 *   priviledged_processor_time   kernel_cpu_time_ns; Kudu spells it so
 *   wait_reason                  wait_reason: "Suspended", "ExecutionDelay" (DELAY) or "Unknown";
 *                                where state isn't "Wait", "Cannot obtain wait reason unless thread
 *                                is in waiting state"
 *   name                         name
 *   os_state                     os_state, a text of one letter
 *   unavailable                  object, member → reason
 */
PROCINSPECT_API int32_t procinspect_json_thread(const procinspect_thread_info *info,
                                                const procinspect_json_options *options,
                                                const procinspect_json **json,
                                                procinspect_error *error);
/* Array of module items, sorted by file name, then base: base_address, file_name, href,
 * file_version. From PROCINSPECT_MODULE_PATH | PROCINSPECT_MODULE_FILE_VERSION. */
PROCINSPECT_API int32_t procinspect_json_module_list(const procinspect_module_list *list,
                                                     const procinspect_json_options *options,
                                                     const procinspect_json **json,
                                                     procinspect_error *error);
/*
 * Module object. From PROCINSPECT_MODULE_EVERYTHING. Its members, and those of
 * procinspect_module_info that they are made of, null where the module has none of it:
 *
 *   base_address         base_address, lower-case hex without "0x"
 *   file_name            file_name
 *   href                 the process's, "/modules/" and base_address
 *   file_version         file_version
 *   file_path            path
 *   module_memory_size   size_bytes
 *   file_description     null, never available
 *   product              package_name
 *   product_version      package_version
 *   is_debug             is_debug, a boolean
 *   language             null, never available
 *   build_id             build_id, lower-case hex
 *   unavailable          object, member → reason
 */
PROCINSPECT_API int32_t procinspect_json_module(const procinspect_module_info *info,
                                                const procinspect_json_options *options,
                                                const procinspect_json **json,
                                                procinspect_error *error);
/* Object name → value, in the order of the environment; redacted values are "[redacted]". Names
 * that are the same once repaired stay apart: "NAME", "NAME\uFFFD", "NAME\uFFFD2", … */
PROCINSPECT_API int32_t procinspect_json_environment(const procinspect_environment *environment,
                                                     const procinspect_json_options *options,
                                                     const procinspect_json **json,
                                                     procinspect_error *error);
/* The report of a dump: the members of procinspect_dump_report by their own names; pause_us, an
 * object that has the pause and its phases in microseconds (total, stop, registers, memory, copy,
 * resume); notes as an array of objects kind ("left_out", "shortened", "unreadable",
 * "thread_not_stopped", "shared", "live", "pause_exceeded", "not_counted", "redacted"; "other" for
 * one that this version doesn't know), tid, text. */
PROCINSPECT_API int32_t procinspect_json_dump_report(const procinspect_dump_report *report,
                                                     const procinspect_json_options *options,
                                                     const procinspect_json **json,
                                                     procinspect_error *error);
/* The estimate of a dump: the members of procinspect_dump_estimate by their own names (pid,
 * requested_type, effective_type, way, size_bytes, memory_bytes, shared_memory_bytes, thread_count,
 * module_count, estimated_at_unix_ns), and notes as the report has them. */
PROCINSPECT_API int32_t procinspect_json_dump_estimate(const procinspect_dump_estimate *estimate,
                                                       const procinspect_json_options *options,
                                                       const procinspect_json **json,
                                                       procinspect_error *error);
/* The array of a report's notes alone: what a dump carries as soft errors, in stream type
 * 0x4d7a0004 of Mozilla's readers. */
PROCINSPECT_API int32_t procinspect_json_dump_soft_errors(const procinspect_dump_report *report,
                                                          const procinspect_json_options *options,
                                                          const procinspect_json **json,
                                                          procinspect_error *error);
/* A zip's manifest.json: pid, captured_at_unix_ns; files, an array of objects name, runtime, path,
 * module_path, module_build_id, build_id, size_bytes, crc32 ("0x" and eight digits), from_target,
 * is_whole, reason, of what is in the zip; missing, one of runtime, path, module_path,
 * module_build_id, from_target, is_there (true also where nobody knows), reason; more_count. What a
 * file has none of is null, build ids are lower-case hex. */
PROCINSPECT_API int32_t procinspect_json_zip_manifest(const procinspect_zip_manifest *manifest,
                                                      const procinspect_json_options *options,
                                                      const procinspect_json **json,
                                                      procinspect_error *error);
/* The report of an ended tree: the members of procinspect_kill_report by their own names, is_exact
 * as a boolean; items as an array of objects pid, parent_pid, name, outcome ("not_tried", "ended",
 * "already_gone", "refused", "survived", "escaped"), text. */
PROCINSPECT_API int32_t procinspect_json_kill_report(const procinspect_kill_report *report,
                                                     const procinspect_json_options *options,
                                                     const procinspect_json **json,
                                                     procinspect_error *error);
/* What application/problem+json carries: type "about:blank", title (the phrase of the HTTP status,
 * 400 to 599), status, detail, and Kudu's Message and ExceptionMessage with detail's text. For a
 * host that wants its own refusals to look like those of the routes. */
PROCINSPECT_API int32_t procinspect_json_problem(uint32_t status, const char *detail,
                                                 const procinspect_json_options *options,
                                                 const procinspect_json **json,
                                                 procinspect_error *error);
/* The same with one more member, report: procinspect_json_kill_report's object. For a tree that
 * was not ended whole. */
PROCINSPECT_API int32_t procinspect_json_kill_problem(uint32_t status, const char *detail,
                                                      const procinspect_kill_report *report,
                                                      const procinspect_json_options *options,
                                                      const procinspect_json **json,
                                                      procinspect_error *error);

#ifdef __cplusplus
}
#endif

#endif
