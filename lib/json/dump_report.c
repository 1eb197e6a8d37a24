/* SPDX-License-Identifier: MIT */
#include "json/document.h"
#include "json/values.h"

static const char *note_kind(uint32_t kind) {
    switch (kind) {
    case PROCINSPECT_DUMP_NOTE_LEFT_OUT:
        return "left_out";
    case PROCINSPECT_DUMP_NOTE_SHORTENED:
        return "shortened";
    case PROCINSPECT_DUMP_NOTE_UNREADABLE:
        return "unreadable";
    case PROCINSPECT_DUMP_NOTE_THREAD_NOT_STOPPED:
        return "thread_not_stopped";
    case PROCINSPECT_DUMP_NOTE_SHARED:
        return "shared";
    case PROCINSPECT_DUMP_NOTE_LIVE:
        return "live";
    case PROCINSPECT_DUMP_NOTE_PAUSE_EXCEEDED:
        return "pause_exceeded";
    case PROCINSPECT_DUMP_NOTE_NOT_COUNTED:
        return "not_counted";
    case PROCINSPECT_DUMP_NOTE_REDACTED:
        return "redacted";
    default:
        return "other";
    }
}

typedef struct named_number {
    const char *name;
    uint64_t value;
} named_number;

static void set_numbers(pi_json_document *document, json_t *object, const named_number *numbers,
                        size_t count) {
    for (size_t i = 0; i < count; i++)
        pi_json_set(document, object, numbers[i].name, pi_json_size(numbers[i].value));
}

static json_t *notes_array(pi_json_document *document, const procinspect_dump_note *const *items,
                           size_t count) {
    json_t *notes = json_array();
    for (size_t i = 0; i < count && !document->failed; i++) {
        const procinspect_dump_note *each = items[i];
        json_t *note = json_object();
        pi_json_set(document, note, "kind", json_string_nocheck(note_kind(each->kind)));
        pi_json_set(document, note, "tid", json_integer(each->tid));
        pi_json_set(document, note, "text", pi_json_text(document, each->text));
        pi_json_append(document, notes, note);
    }
    return notes;
}

/* The pause by phase, in the unit of X-Procinspect-Pause-Us. */
static json_t *pause_object(pi_json_document *document, const procinspect_dump_report *report) {
    const named_number numbers[] = {
        {"total", report->pause_ns / 1000},
        {"stop", report->pause_stop_ns / 1000},
        {"registers", report->pause_registers_ns / 1000},
        {"memory", report->pause_memory_ns / 1000},
        {"copy", report->pause_copy_ns / 1000},
        {"resume", report->pause_resume_ns / 1000},
    };
    json_t *object = json_object();
    set_numbers(document, object, numbers, sizeof numbers / sizeof numbers[0]);
    return object;
}

static json_t *report_object(pi_json_document *document, const procinspect_dump_report *report) {
    const named_number numbers[] = {
        {"requested_type", report->requested_type},
        {"effective_type", report->effective_type},
        {"way", report->way},
        {"size_bytes", report->size_bytes},
        {"memory_bytes", report->memory_bytes},
        {"unreadable_memory_bytes", report->unreadable_memory_bytes},
        {"shared_memory_bytes", report->shared_memory_bytes},
        {"thread_count", report->thread_count},
        {"module_count", report->module_count},
        {"restarted_call_count", report->restarted_call_count},
    };
    const named_number durations[] = {
        {"pause_ns", report->pause_ns},
        {"pause_stop_ns", report->pause_stop_ns},
        {"pause_registers_ns", report->pause_registers_ns},
        {"pause_memory_ns", report->pause_memory_ns},
        {"pause_copy_ns", report->pause_copy_ns},
        {"pause_resume_ns", report->pause_resume_ns},
        {"total_ns", report->total_ns},
    };
    json_t *object = json_object();
    pi_json_set(document, object, "pid", json_integer(report->pid));
    set_numbers(document, object, numbers, sizeof numbers / sizeof numbers[0]);
    pi_json_set(document, object, "way_reason", pi_json_text(document, report->way_reason));
    pi_json_set(document, object, "captured_at_unix_ns", json_integer(report->captured_at_unix_ns));
    set_numbers(document, object, durations, sizeof durations / sizeof durations[0]);
    pi_json_set(document, object, "pause_us", pause_object(document, report));
    pi_json_set(document, object, "notes",
                notes_array(document, report->notes, report->note_count));
    return object;
}

static json_t *estimate_object(pi_json_document *document,
                               const procinspect_dump_estimate *estimate) {
    const named_number numbers[] = {
        {"requested_type", estimate->requested_type},
        {"effective_type", estimate->effective_type},
        {"way", estimate->way},
        {"size_bytes", estimate->size_bytes},
        {"memory_bytes", estimate->memory_bytes},
        {"shared_memory_bytes", estimate->shared_memory_bytes},
        {"thread_count", estimate->thread_count},
        {"module_count", estimate->module_count},
    };
    json_t *object = json_object();
    pi_json_set(document, object, "pid", json_integer(estimate->pid));
    set_numbers(document, object, numbers, sizeof numbers / sizeof numbers[0]);
    pi_json_set(document, object, "estimated_at_unix_ns",
                json_integer(estimate->estimated_at_unix_ns));
    pi_json_set(document, object, "notes",
                notes_array(document, estimate->notes, estimate->note_count));
    return object;
}

int32_t procinspect_json_dump_report(const procinspect_dump_report *report,
                                     const procinspect_json_options *options,
                                     const procinspect_json **json, procinspect_error *error) {
    pi_json_document document;
    int32_t code = pi_json_document_begin(&document, "procinspect_json_dump_report", report, json,
                                          options, error);
    if (code != PROCINSPECT_OK)
        return code;
    return pi_json_document_end(&document, report_object(&document, report), json, error);
}

int32_t procinspect_json_dump_estimate(const procinspect_dump_estimate *estimate,
                                       const procinspect_json_options *options,
                                       const procinspect_json **json, procinspect_error *error) {
    pi_json_document document;
    int32_t code = pi_json_document_begin(&document, "procinspect_json_dump_estimate", estimate,
                                          json, options, error);
    if (code != PROCINSPECT_OK)
        return code;
    return pi_json_document_end(&document, estimate_object(&document, estimate), json, error);
}

int32_t procinspect_json_dump_soft_errors(const procinspect_dump_report *report,
                                          const procinspect_json_options *options,
                                          const procinspect_json **json, procinspect_error *error) {
    pi_json_document document;
    int32_t code = pi_json_document_begin(&document, "procinspect_json_dump_soft_errors", report,
                                          json, options, error);
    if (code != PROCINSPECT_OK)
        return code;
    return pi_json_document_end(
        &document, notes_array(&document, report->notes, report->note_count), json, error);
}
