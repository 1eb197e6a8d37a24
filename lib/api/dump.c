/* SPDX-License-Identifier: MIT */
#include "api/dump.h"

#include <inttypes.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

/* Of a layer above this one, in this file alone: a dump carries its report as the very JSON that
 * procinspect_json_dump_report gives a host, and the dump's size depends on it, so it can't be
 * added from above; a second writer of JSON down here could only drift from the first. */
#include <procinspect/json.h>

#include "api/context.h"
#include "api/dump_redaction.h"
#include "base/error.h"
#include "dump/image.h"
#include "dump/reader_limits.h"

/* That the dump is too large for some readers, and what is redacted in it. */
enum { MOST_OWN_NOTES = 2 };

struct procinspect_dump {
    atomic_int references;
    procinspect_context *context; /* its dump_count has this dump; NULL for an estimate */
    pi_snapshot *snapshot;        /* the report is its report */
    pi_image *image;
    pi_support_origin *support_origin; /* for zips of it */
    pi_dump_redaction redaction;
    /* The capture's notes and ours. */
    const procinspect_dump_note **notes;
    procinspect_dump_note own_notes[MOST_OWN_NOTES];
    char own_note_texts[MOST_OWN_NOTES][256];
};

static uint64_t monotonic_ns(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

procinspect_dump *pi_dump_retain(procinspect_dump *dump) {
    atomic_fetch_add(&dump->references, 1);
    return dump;
}

/* Takes one of the context's places for dumps, if one is free. */
static int take_place(procinspect_context *context) {
    unsigned taken = atomic_load(&context->dump_count);
    do
        if (taken >= context->options.max_concurrent_dumps)
            return 0;
    while (!atomic_compare_exchange_weak(&context->dump_count, &taken, taken + 1));
    return 1;
}

static int32_t busy(const procinspect_context *context, procinspect_error *error) {
    return pi_error_set(error, PROCINSPECT_ERROR_BUSY, 0,
                        "%u dumps are being taken or sent, which is max_concurrent_dumps; try "
                        "again when one of them is done, or raise that limit.",
                        (unsigned)context->options.max_concurrent_dumps);
}

/* The dump has one of those places; its _free gives it back. */
static int32_t dump_new(procinspect_context *context, procinspect_dump **dump,
                        procinspect_error *error) {
    if (!take_place(context))
        return busy(context, error);
    procinspect_dump *made = calloc(1, sizeof *made);
    if (made == NULL) {
        atomic_fetch_sub(&context->dump_count, 1);
        return pi_error_no_memory(error);
    }
    atomic_init(&made->references, 1);
    made->context = procinspect_context_retain(context);
    *dump = made;
    return PROCINSPECT_OK;
}

static void free_parts(procinspect_dump *dump) {
    pi_image_free(dump->image);
    pi_support_origin_close(dump->support_origin);
    pi_snapshot_free(dump->snapshot);
    pi_redaction_free(dump->redaction.values);
    free(dump->notes);
}

void procinspect_dump_free(procinspect_dump *dump) {
    if (dump == NULL || atomic_fetch_sub(&dump->references, 1) != 1)
        return;
    free_parts(dump);
    atomic_fetch_sub(&dump->context->dump_count, 1);
    procinspect_context_free(dump->context);
    free(dump);
}

/* The smaller of two limits of which 0 means none. */
static uint64_t tighter(uint64_t one, uint64_t other) {
    if (one == 0 || other == 0)
        return one == 0 ? other : one;
    return one < other ? one : other;
}

static void add_note(procinspect_dump *dump, size_t place, uint32_t kind) {
    procinspect_dump_report *report = &dump->snapshot->report;
    dump->own_notes[place] =
        (procinspect_dump_note){.kind = kind, .text = dump->own_note_texts[place]};
    dump->notes[report->note_count++] = &dump->own_notes[place];
}

static int32_t add_notes(procinspect_dump *dump, procinspect_error *error) {
    procinspect_dump_report *report = &dump->snapshot->report;
    dump->notes = calloc(report->note_count + MOST_OWN_NOTES, sizeof *dump->notes);
    if (dump->notes == NULL)
        return pi_error_no_memory(error);
    for (size_t i = 0; i < report->note_count; i++)
        dump->notes[i] = report->notes[i];
    report->notes = dump->notes;
    if (pi_minidump_exceeds_readers(dump->snapshot, dump->own_note_texts[0],
                                    sizeof dump->own_note_texts[0]))
        add_note(dump, 0, PROCINSPECT_DUMP_NOTE_LEFT_OUT);
    if (dump->redaction.values == NULL)
        return PROCINSPECT_OK;
    snprintf(
        dump->own_note_texts[1], sizeof dump->own_note_texts[1],
        "The values of %zu environment variables are '%c' here, wherever they stand, and so is "
        "what stands behind their names; values of less than %d bytes are looked for only "
        "there.",
        dump->redaction.variable_count, PI_REDACTION_MASK, PI_REDACTION_LEAST_VALUE);
    add_note(dump, 1, PROCINSPECT_DUMP_NOTE_REDACTED);
    return PROCINSPECT_OK;
}

static int32_t lay_out_once(procinspect_dump *dump, uint64_t max_bytes, procinspect_error *error) {
    const procinspect_dump_report *report = &dump->snapshot->report;
    const procinspect_json *json, *soft_errors = NULL;
    int32_t code = procinspect_json_dump_report(report, NULL, &json, error);
    if (code != PROCINSPECT_OK)
        return code;
    code = procinspect_json_dump_soft_errors(report, NULL, &soft_errors, error);
    if (code == PROCINSPECT_OK) {
        const pi_dump_texts texts = {.report = {json->text, json->length_bytes},
                                     .soft_errors = {soft_errors->text, soft_errors->length_bytes}};
        code = pi_minidump_lay_out(dump->snapshot, &texts, max_bytes, &dump->image, error);
    }
    procinspect_json_free(soft_errors);
    procinspect_json_free(json);
    return code;
}

/*
 * The dump holds its report, and the report the dump's size: laid out until both agree. That ends,
 * since a larger size never makes the text shorter, and its digits are few. Twice will do where
 * what the report says at first has as many digits as in the end.
 */
static int32_t lay_out(procinspect_dump *dump, uint64_t started_ns, uint64_t max_bytes,
                       procinspect_error *error) {
    procinspect_dump_report *report = &dump->snapshot->report;
    report->size_bytes = report->memory_bytes;
    report->total_ns = monotonic_ns() - started_ns;
    for (bool is_first = true;; is_first = false) {
        int32_t code = lay_out_once(dump, max_bytes, error);
        if (code != PROCINSPECT_OK)
            return code;
        uint64_t size = pi_image_size_bytes(dump->image);
        if (size == report->size_bytes && !is_first) {
            pi_image_redact(dump->image, dump->redaction.values);
            return PROCINSPECT_OK;
        }
        report->size_bytes = size;
        if (is_first)
            report->total_ns = monotonic_ns() - started_ns;
        pi_image_free(dump->image);
        dump->image = NULL;
    }
}

/* A dump that is too large whatever its stacks hold is refused before the process is stopped. */
static int32_t check_least_size(const pi_snapshot *beforehand, const void *max_bytes,
                                procinspect_error *error) {
    uint64_t allowed_bytes = *(const uint64_t *)max_bytes;
    uint64_t least_bytes = pi_minidump_least_bytes(beforehand);
    if (least_bytes <= allowed_bytes)
        return PROCINSPECT_OK;
    return pi_error_set(error, PROCINSPECT_ERROR_TOO_LARGE, 0,
                        "The dump would take at least %" PRIu64 " bytes, and max_dump_bytes allows "
                        "%" PRIu64 "; raise that limit. The process was not stopped.",
                        least_bytes, allowed_bytes);
}

/* What the platform makes of the options: all that can be refused is, and unless it is only to be
 * checked or predicted the process is captured. *max_bytes: what the dump may take, 0 for any size.
 */
static int32_t take_snapshot(const procinspect_process *process,
                             const procinspect_dump_options *options, bool only_predict,
                             uint64_t *max_bytes, pi_snapshot **snapshot,
                             procinspect_error *error) {
    const procinspect_context_options *limits = &process->context->options;
    *max_bytes = tighter(options->max_dump_bytes, limits->max_dump_bytes);
    pi_capture_request request = {
        .type = options->type,
        .way = options->way,
        .max_pause_ms = (uint32_t)tighter(options->max_pause_ms, limits->max_pause_ms),
        .hold_buffer_bytes = limits->hold_buffer_bytes,
        .max_copy_seconds = limits->max_copy_seconds,
        .max_copy_growth_bytes = limits->max_copy_growth_bytes,
        .spool_directory = process->context->spool_directory,
        .shared_while_stopped = (options->flags & PROCINSPECT_DUMP_SHARED_WHILE_STOPPED) != 0,
        .leave_out_dontdump = (options->flags & PROCINSPECT_DUMP_WITHOUT_DONTDUMP) != 0,
        .only_check = !only_predict && (options->flags & PROCINSPECT_DUMP_ONLY_CHECK) != 0,
        .only_predict = only_predict,
        .cancellation = options->cancellation,
        .accept = *max_bytes != 0 ? check_least_size : NULL,
        .user = max_bytes,
    };
    return pi_capture(process->platform, &request, snapshot, error);
}

static int32_t capture(procinspect_dump *dump, const procinspect_process *process,
                       const procinspect_dump_options *options, bool only_predict,
                       procinspect_error *error) {
    uint64_t started_ns = monotonic_ns();
    uint64_t max_bytes;
    int32_t code = pi_dump_redaction_begin(&dump->redaction, process,
                                           (options->flags & PROCINSPECT_DUMP_REDACT) != 0, error);
    if (code == PROCINSPECT_OK && !only_predict)
        code = pi_support_origin_open(process->platform, &dump->support_origin, error);
    if (code == PROCINSPECT_OK)
        code = take_snapshot(process, options, only_predict, &max_bytes, &dump->snapshot, error);
    if (code == PROCINSPECT_OK && !only_predict)
        code = pi_dump_redaction_finish(&dump->redaction, process,
                                        dump->snapshot->texts[PI_TEXT_ENVIRONMENT], error);
    if (code == PROCINSPECT_OK)
        code = add_notes(dump, error);
    if (code == PROCINSPECT_OK)
        code = lay_out(dump, started_ns, max_bytes, error);
    return code;
}

/* What a capture would be refused for. Where the size has a limit the dump is predicted for it. */
static int32_t check_capture(const procinspect_process *process,
                             const procinspect_dump_options *options, procinspect_error *error) {
    procinspect_context *context = process->context;
    if (atomic_load(&context->dump_count) >= context->options.max_concurrent_dumps)
        return busy(context, error);
    if (tighter(options->max_dump_bytes, context->options.max_dump_bytes) == 0)
        return take_snapshot(process, options, false, &(uint64_t){0}, NULL, error);
    procinspect_dump predicted = {0};
    int32_t code = capture(&predicted, process, options, true, error);
    free_parts(&predicted);
    return code;
}

static int32_t capture_new(const procinspect_process *process,
                           const procinspect_dump_options *options, procinspect_dump **dump,
                           procinspect_error *error) {
    procinspect_dump *made = NULL;
    int32_t code = dump_new(process->context, &made, error);
    if (code != PROCINSPECT_OK)
        return code;
    code = capture(made, process, options, false, error);
    if (code == PROCINSPECT_OK)
        *dump = made;
    else
        procinspect_dump_free(made);
    return code;
}

int32_t procinspect_dump_capture(const procinspect_process *process,
                                 const procinspect_dump_options *options, procinspect_dump **dump,
                                 procinspect_error *error) {
    procinspect_dump_options known;
    int32_t code = pi_dump_options_take(options, &known, error);
    if (code != PROCINSPECT_OK)
        return code;
    bool only_check = (known.flags & PROCINSPECT_DUMP_ONLY_CHECK) != 0;
    if (process == NULL || (dump == NULL && !only_check))
        return pi_error_set(error, PROCINSPECT_ERROR_INVALID_ARGUMENT, 0,
                            "procinspect_dump_capture: %s is NULL; pass one.",
                            process == NULL ? "process" : "dump");
    code = pi_dump_options_check(process, &known, error);
    if (code == PROCINSPECT_OK && only_check)
        return check_capture(process, &known, error);
    if (code != PROCINSPECT_OK)
        return code;
    int cancel_state;
    pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, &cancel_state);
    code = capture_new(process, &known, dump, error);
    pthread_setcancelstate(cancel_state, NULL);
    return code;
}

const pi_support_origin *pi_dump_support_origin(const procinspect_dump *dump) {
    return dump->support_origin;
}

const procinspect_module_list *pi_dump_modules(const procinspect_dump *dump) {
    return dump->snapshot->modules;
}

uint64_t procinspect_dump_size_bytes(const procinspect_dump *dump) {
    return pi_image_size_bytes(dump->image);
}

int32_t procinspect_dump_read_at(const procinspect_dump *dump, uint64_t offset_bytes, void *buffer,
                                 size_t capacity, size_t *length, procinspect_error *error) {
    if (dump == NULL || length == NULL || (buffer == NULL && capacity != 0))
        return pi_error_set(error, PROCINSPECT_ERROR_INVALID_ARGUMENT, 0,
                            "procinspect_dump_read_at: dump, buffer or length is NULL.");
    return pi_image_read_at(dump->image, offset_bytes, buffer, capacity, length, error);
}

const procinspect_dump_report *procinspect_dump_report_get(const procinspect_dump *dump) {
    return &dump->snapshot->report;
}

/* What is handed out, and whose notes they are. */
typedef struct held_estimate {
    procinspect_dump_estimate public; /* first: what is handed out is a pointer to it */
    procinspect_dump dump;            /* never handed out; its memory can't be read */
} held_estimate;

static void estimate_free(held_estimate *estimate) {
    free_parts(&estimate->dump);
    free(estimate);
}

static procinspect_dump_estimate estimate_of(const procinspect_dump_report *report) {
    return (procinspect_dump_estimate){
        .pid = report->pid,
        .requested_type = report->requested_type,
        .effective_type = report->effective_type,
        .way = report->way,
        .size_bytes = report->size_bytes,
        .memory_bytes = report->memory_bytes,
        .shared_memory_bytes = report->shared_memory_bytes,
        .thread_count = report->thread_count,
        .module_count = report->module_count,
        .estimated_at_unix_ns = report->captured_at_unix_ns,
        .notes = report->notes,
        .note_count = report->note_count,
    };
}

int32_t procinspect_dump_estimate_read(const procinspect_process *process,
                                       const procinspect_dump_options *options,
                                       const procinspect_dump_estimate **estimate,
                                       procinspect_error *error) {
    procinspect_dump_options known;
    int32_t code = pi_dump_options_take(options, &known, error);
    if (code != PROCINSPECT_OK)
        return code;
    if (process == NULL || estimate == NULL)
        return pi_error_set(error, PROCINSPECT_ERROR_INVALID_ARGUMENT, 0,
                            "procinspect_dump_estimate_read: %s is NULL; pass one.",
                            process == NULL ? "process" : "estimate");
    code = pi_dump_options_check(process, &known, error);
    if (code != PROCINSPECT_OK)
        return code;
    held_estimate *made = calloc(1, sizeof *made);
    if (made == NULL)
        return pi_error_no_memory(error);
    code = capture(&made->dump, process, &known, true, error);
    if (code != PROCINSPECT_OK) {
        estimate_free(made);
        return code;
    }
    made->public = estimate_of(&made->dump.snapshot->report);
    *estimate = &made->public;
    return PROCINSPECT_OK;
}

void procinspect_dump_estimate_free(const procinspect_dump_estimate *estimate) {
    if (estimate != NULL)
        estimate_free((held_estimate *)(uintptr_t)estimate);
}
