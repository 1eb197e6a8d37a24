/* SPDX-License-Identifier: MIT */
#include "http/values.h"

#include <inttypes.h>
#include <string.h>

#include "base/error.h"
#include "base/text.h"

const char *pi_http_quote(char buffer[PI_HTTP_QUOTE_CAPACITY], pi_http_text text) {
    pi_utf8_repair_into(buffer, PI_HTTP_QUOTE_CAPACITY, text.bytes, text.length);
    return buffer;
}

bool pi_http_text_is(pi_http_text text, const char *word) {
    return pi_ascii_equal_ignoring_case(text.bytes, text.length, word, strlen(word));
}

int32_t pi_http_query_text(const pi_http_exchange *exchange, const char *name, pi_http_text *value,
                           procinspect_error *error) {
    pi_http_text found = {NULL, 0};
    for (size_t i = 0; i < exchange->parameter_count; i++) {
        if (!pi_http_text_is(exchange->parameters[i].name, name))
            continue;
        if (found.bytes != NULL)
            return pi_error_set(error, PROCINSPECT_ERROR_INVALID_ARGUMENT, 0,
                                "The query has %s more than once; leave one.", name);
        found = exchange->parameters[i].value;
    }
    *value = found;
    return PROCINSPECT_OK;
}

int32_t pi_http_query_boolean(const pi_http_exchange *exchange, const char *name, bool *value,
                              procinspect_error *error) {
    pi_http_text text = {NULL, 0};
    int32_t code = pi_http_query_text(exchange, name, &text, error);
    if (code != PROCINSPECT_OK)
        return code;
    bool is_true = text.bytes != NULL && pi_http_text_is(text, "true");
    if (text.bytes != NULL && !is_true && !pi_http_text_is(text, "false")) {
        char quote[PI_HTTP_QUOTE_CAPACITY];
        return pi_error_set(error, PROCINSPECT_ERROR_INVALID_ARGUMENT, 0,
                            "%s is '%s'; write true or false.", name, pi_http_quote(quote, text));
    }
    *value = is_true;
    return PROCINSPECT_OK;
}

/* Cuts "0x" off; true where it was there. */
static bool cut_hex_prefix(pi_http_text *text) {
    if (text->length < 2 || text->bytes[0] != '0' || (text->bytes[1] | 0x20) != 'x')
        return false;
    text->bytes += 2;
    text->length -= 2;
    return true;
}

int32_t pi_http_query_number(const pi_http_exchange *exchange, const char *name, uint32_t *value,
                             procinspect_error *error) {
    pi_http_text text = {NULL, 0};
    int32_t code = pi_http_query_text(exchange, name, &text, error);
    if (code != PROCINSPECT_OK)
        return code;
    uint64_t number = 0;
    if (text.bytes != NULL) {
        pi_http_text digits = text;
        unsigned base = cut_hex_prefix(&digits) ? 16 : 10;
        if (!pi_parse_u64_whole(digits.bytes, digits.length, base, &number) ||
            number > UINT32_MAX) {
            char quote[PI_HTTP_QUOTE_CAPACITY];
            return pi_error_set(error, PROCINSPECT_ERROR_INVALID_ARGUMENT, 0,
                                "%s is '%s'; write a number from 0 to %" PRIu32
                                ", decimal or in hex with 0x.",
                                name, pi_http_quote(quote, text), UINT32_MAX);
        }
    }
    *value = (uint32_t)number;
    return PROCINSPECT_OK;
}

int32_t pi_http_parse_process_id(pi_http_text text, int32_t *id, procinspect_error *error) {
    uint64_t number;
    if (pi_http_text_is(text, "-1")) {
        *id = -1;
        return PROCINSPECT_OK;
    }
    if (!pi_parse_u64_whole(text.bytes, text.length, 10, &number) || number > INT32_MAX) {
        char quote[PI_HTTP_QUOTE_CAPACITY];
        return pi_error_set(error, PROCINSPECT_ERROR_INVALID_ARGUMENT, 0,
                            "'%s' is no process id; write a decimal number up to %" PRId32
                            ", 0 for the host's own process or -1 for the main site.",
                            pi_http_quote(quote, text), INT32_MAX);
    }
    *id = (int32_t)number;
    return PROCINSPECT_OK;
}

int32_t pi_http_parse_thread_id(pi_http_text text, int32_t *id, procinspect_error *error) {
    uint64_t number;
    if (!pi_parse_u64_whole(text.bytes, text.length, 10, &number) || number > INT32_MAX) {
        char quote[PI_HTTP_QUOTE_CAPACITY];
        return pi_error_set(error, PROCINSPECT_ERROR_INVALID_ARGUMENT, 0,
                            "'%s' is no thread id; write a decimal number up to %" PRId32 ".",
                            pi_http_quote(quote, text), INT32_MAX);
    }
    *id = (int32_t)number;
    return PROCINSPECT_OK;
}

int32_t pi_http_parse_base_address(pi_http_text text, uint64_t *base, procinspect_error *error) {
    pi_http_text digits = text;
    cut_hex_prefix(&digits);
    if (!pi_parse_u64_whole(digits.bytes, digits.length, 16, base)) {
        char quote[PI_HTTP_QUOTE_CAPACITY];
        return pi_error_set(error, PROCINSPECT_ERROR_INVALID_ARGUMENT, 0,
                            "'%s' is no base address; write it in hex, as base_address has it.",
                            pi_http_quote(quote, text));
    }
    return PROCINSPECT_OK;
}
