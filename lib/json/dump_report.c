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
    default:
        return "other";
    }
}

static json_t *notes_array(pi_json_document *document, const procinspect_dump_report *report) {
    json_t *notes = json_array();
    for (size_t i = 0; i < report->note_count && !document->failed; i++) {
        const procinspect_dump_note *each = report->notes[i];
        json_t *note = json_object();
        pi_json_set(document, note, "kind", json_string_nocheck(note_kind(each->kind)));
        pi_json_set(document, note, "tid", json_integer(each->tid));
        pi_json_set(document, note, "text", pi_json_text(document, each->text));
        pi_json_append(document, notes, note);
    }
    return notes;
}

static json_t *report_object(pi_json_document *document, const procinspect_dump_report *report) {
    const struct {
        const char *name;
        uint64_t value;
    } numbers[] = {
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
    const struct {
        const char *name;
        uint64_t value;
    } durations[] = {
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
    for (size_t i = 0; i < sizeof numbers / sizeof numbers[0]; i++)
        pi_json_set(document, object, numbers[i].name, pi_json_size(numbers[i].value));
    pi_json_set(document, object, "way_reason", pi_json_text(document, report->way_reason));
    pi_json_set(document, object, "captured_at_unix_ns", json_integer(report->captured_at_unix_ns));
    for (size_t i = 0; i < sizeof durations / sizeof durations[0]; i++)
        pi_json_set(document, object, durations[i].name, pi_json_size(durations[i].value));
    pi_json_set(document, object, "notes", notes_array(document, report));
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
