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
/* Process object. From PROCINSPECT_PROCESS_EVERYTHING. */
PROCINSPECT_API int32_t procinspect_json_process(const procinspect_process_info *info,
                                                 const procinspect_json_options *options,
                                                 const procinspect_json **json,
                                                 procinspect_error *error);
/* Array of thread items: id, href, state. From PROCINSPECT_THREAD_STATE. */
PROCINSPECT_API int32_t procinspect_json_thread_list(const procinspect_thread_list *list,
                                                     const procinspect_json_options *options,
                                                     const procinspect_json **json,
                                                     procinspect_error *error);
/* Thread object. From PROCINSPECT_THREAD_EVERYTHING. */
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
/* Module object. From PROCINSPECT_MODULE_EVERYTHING. */
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
 * "thread_not_stopped", "shared", "live", "pause_exceeded", "not_counted"), tid, text. */
PROCINSPECT_API int32_t procinspect_json_dump_report(const procinspect_dump_report *report,
                                                     const procinspect_json_options *options,
                                                     const procinspect_json **json,
                                                     procinspect_error *error);
/* The array of its notes alone: what a dump carries as soft errors, in stream type 0x4d7a0004 of
 * Mozilla's readers. */
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
/* The estimate of a dump, the same way. */
PROCINSPECT_API int32_t procinspect_json_dump_estimate(const procinspect_dump_estimate *estimate,
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
