/* SPDX-License-Identifier: MIT */
#include <procinspect/kill.h>

#include "json/object.h"
#include "json/values.h"

static const char *outcome_word(uint32_t outcome) {
    switch (outcome) {
    case PROCINSPECT_KILL_NOT_TRIED:
        return "not_tried";
    case PROCINSPECT_KILL_ENDED:
        return "ended";
    case PROCINSPECT_KILL_ALREADY_GONE:
        return "already_gone";
    case PROCINSPECT_KILL_REFUSED:
        return "refused";
    case PROCINSPECT_KILL_SURVIVED:
        return "survived";
    case PROCINSPECT_KILL_ESCAPED:
        return "escaped";
    default:
        return "other";
    }
}

static json_t *items_array(pi_json_document *document, const procinspect_kill_report *report) {
    json_t *items = json_array();
    for (size_t i = 0; i < report->count && !document->failed; i++) {
        const procinspect_kill_item *each = report->items[i];
        json_t *item = json_object();
        pi_json_set(document, item, "pid", json_integer(each->pid));
        pi_json_set(document, item, "parent_pid", json_integer(each->parent_pid));
        pi_json_set(document, item, "name", pi_json_text(document, each->name));
        pi_json_set(document, item, "outcome", json_string_nocheck(outcome_word(each->outcome)));
        pi_json_set(document, item, "text", pi_json_text(document, each->text));
        pi_json_append(document, items, item);
    }
    return items;
}

json_t *pi_json_kill_report(pi_json_document *document, const procinspect_kill_report *report) {
    const struct {
        const char *name;
        uint64_t value;
    } numbers[] = {
        {"ended_count", report->ended_count},
        {"already_gone_count", report->already_gone_count},
        {"refused_count", report->refused_count},
        {"survived_count", report->survived_count},
        {"escaped_count", report->escaped_count},
        {"read_at_ns", report->read_at_ns},
        {"total_ns", report->total_ns},
    };
    json_t *object = json_object();
    pi_json_set(document, object, "pid", json_integer(report->pid));
    pi_json_set(document, object, "is_exact", json_boolean(report->is_exact != 0));
    for (size_t i = 0; i < sizeof numbers / sizeof numbers[0]; i++)
        pi_json_set(document, object, numbers[i].name, pi_json_size(numbers[i].value));
    pi_json_set(document, object, "items", items_array(document, report));
    return object;
}

int32_t procinspect_json_kill_report(const procinspect_kill_report *report,
                                     const procinspect_json_options *options,
                                     const procinspect_json **json, procinspect_error *error) {
    pi_json_document document;
    int32_t code = pi_json_document_begin(&document, "procinspect_json_kill_report", report, json,
                                          options, error);
    if (code != PROCINSPECT_OK)
        return code;
    return pi_json_document_end(&document, pi_json_kill_report(&document, report), json, error);
}
