/* SPDX-License-Identifier: MIT */
#include "http/request.h"

#include <string.h>

#include "base/error.h"
#include "base/text.h"

/* '+' is a space in a query (application/x-www-form-urlencoded), and itself in a path. */
typedef enum target_part { PART_PATH, PART_QUERY } target_part;

static int32_t decode(pi_arena *arena, const char *from, size_t length, target_part part,
                      pi_http_text *decoded, procinspect_error *error) {
    char *bytes = pi_arena_alloc(arena, length + 1);
    if (bytes == NULL)
        return pi_error_no_memory(error);
    size_t used = 0;
    for (size_t i = 0; i < length; i++) {
        uint64_t value = (unsigned char)from[i];
        if (from[i] == '%') {
            if (length - i < 3 || !pi_parse_u64_whole(from + i + 1, 2, 16, &value))
                return pi_error_set(
                    error, PROCINSPECT_ERROR_INVALID_ARGUMENT, 0,
                    "The %s has a '%%' at byte %zu of a part that two hex digits don't "
                    "follow; write a plain '%%' as %%25.",
                    part == PART_PATH ? "path" : "query", i);
            i += 2;
        } else if (from[i] == '+' && part == PART_QUERY) {
            value = ' ';
        }
        bytes[used++] = (char)(unsigned char)value;
    }
    bytes[used] = '\0';
    *decoded = (pi_http_text){bytes, used};
    return PROCINSPECT_OK;
}

/* The end of the part that begins at `from`. */
static const char *end_of_part(const char *from, const char *end, char separator) {
    const char *found = from == end ? NULL : memchr(from, separator, (size_t)(end - from));
    return found != NULL ? found : end;
}

/* The path's beginning in a target that is a whole URL, as a proxy is sent it (RFC 9112, 3.2.2).
 * Whose authority that is, is for the host to judge. */
static const char *skip_authority(const char *path, const char *end) {
    static const char *const schemes[] = {"http://", "https://"};
    for (size_t i = 0; i < sizeof schemes / sizeof schemes[0]; i++) {
        size_t length = strlen(schemes[i]);
        if ((size_t)(end - path) > length &&
            pi_ascii_equal_ignoring_case(path, length, schemes[i], length))
            return end_of_part(path + length, end, '/');
    }
    return path;
}

/* "/a/b/" has the segments a and b; a path that doesn't begin with a slash has none, and no route.
 */
static int32_t parse_path(pi_http_exchange *exchange, procinspect_error *error) {
    const char *end = exchange->request.path + exchange->request.path_length_bytes;
    const char *at = skip_authority(exchange->request.path, end);
    exchange->segment_count = 0;
    while (at != end && *at == '/') {
        const char *begin = at + 1;
        at = end_of_part(begin, end, '/');
        if (begin == end && exchange->segment_count != 0)
            break; /* the slash at the end */
        pi_http_text segment;
        int32_t code =
            decode(exchange->arena, begin, (size_t)(at - begin), PART_PATH, &segment, error);
        if (code != PROCINSPECT_OK)
            return code;
        if (exchange->segment_count < PI_HTTP_SEGMENTS)
            exchange->segments[exchange->segment_count] = segment;
        exchange->segment_count++;
    }
    return PROCINSPECT_OK;
}

static int32_t parse_parameter(pi_http_exchange *exchange, const char *begin, const char *end,
                               procinspect_error *error) {
    pi_http_parameter *parameter = &exchange->parameters[exchange->parameter_count];
    const char *name_end = end_of_part(begin, end, '=');
    const char *value = name_end == end ? end : name_end + 1;
    int32_t code = decode(exchange->arena, begin, (size_t)(name_end - begin), PART_QUERY,
                          &parameter->name, error);
    if (code == PROCINSPECT_OK)
        code = decode(exchange->arena, value, (size_t)(end - value), PART_QUERY, &parameter->value,
                      error);
    if (code == PROCINSPECT_OK)
        exchange->parameter_count++;
    return code;
}

static int32_t parse_query(pi_http_exchange *exchange, procinspect_error *error) {
    exchange->parameter_count = 0;
    const char *at = exchange->request.query;
    if (at == NULL || exchange->request.query_length_bytes == 0)
        return PROCINSPECT_OK;
    const char *end = at + exchange->request.query_length_bytes;
    size_t capacity = 1;
    for (const char *each = at; each != end; each++)
        capacity += *each == '&';
    exchange->parameters =
        pi_arena_alloc_array(exchange->arena, capacity, sizeof *exchange->parameters);
    if (exchange->parameters == NULL)
        return pi_error_no_memory(error);
    for (;;) {
        const char *part_end = end_of_part(at, end, '&');
        int32_t code = parse_parameter(exchange, at, part_end, error);
        if (code != PROCINSPECT_OK || part_end == end)
            return code;
        at = part_end + 1;
    }
}

static int32_t check_length(const char *part, size_t length, procinspect_error *error) {
    if (length <= PI_HTTP_LONGEST_TARGET)
        return PROCINSPECT_OK;
    return pi_error_set(error, PROCINSPECT_ERROR_INVALID_ARGUMENT, 0,
                        "The %s is %zu bytes long; none of the routes needs more than %d.", part,
                        length, PI_HTTP_LONGEST_TARGET);
}

int32_t pi_http_parse_target(pi_http_exchange *exchange, procinspect_error *error) {
    int32_t code = check_length("path", exchange->request.path_length_bytes, error);
    if (code == PROCINSPECT_OK && exchange->request.query != NULL)
        code = check_length("query", exchange->request.query_length_bytes, error);
    if (code == PROCINSPECT_OK)
        code = parse_path(exchange, error);
    if (code == PROCINSPECT_OK)
        code = parse_query(exchange, error);
    return code;
}
