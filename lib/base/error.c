/* SPDX-License-Identifier: MIT */
#include "base/error.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/text.h"

int32_t pi_error_set(procinspect_error *error, int32_t code, int os_errno, const char *format,
                     ...) {
    if (error == NULL)
        return code;
    memset(error, 0, sizeof *error);
    error->code = code;
    error->os_errno = os_errno;
    va_list arguments;
    va_start(arguments, format);
    int length = vsnprintf(error->message, sizeof error->message, format, arguments);
    va_end(arguments);
    if (length >= (int)sizeof error->message) {
        size_t kept = pi_utf8_prefix(error->message, sizeof error->message - 1);
        error->message[kept] = '\0';
    }
    return code;
}

int32_t pi_error_code_of_errno(int os_errno) {
    switch (os_errno) {
    case ENOMEM:
        return PROCINSPECT_ERROR_NO_MEMORY;
    case EMFILE:
    case ENFILE:
    case EAGAIN:
    case ENOSPC:
        return PROCINSPECT_ERROR_NO_RESOURCES;
    case EPERM:
    case EACCES:
        return PROCINSPECT_ERROR_PERMISSION;
    case ESRCH:
        return PROCINSPECT_ERROR_GONE;
    case ENOENT:
        return PROCINSPECT_ERROR_NOT_FOUND;
    default:
        return PROCINSPECT_ERROR_IO;
    }
}

int32_t pi_error_no_memory(procinspect_error *error) {
    return pi_error_set(error, PROCINSPECT_ERROR_NO_MEMORY, ENOMEM,
                        "Out of memory; free some, or raise the limit of the host process.");
}

const char *procinspect_error_name(int32_t code) {
    static const char *const names[] = {
        "PROCINSPECT_OK",
        "PROCINSPECT_ERROR_INVALID_ARGUMENT",
        "PROCINSPECT_ERROR_NOT_FOUND",
        "PROCINSPECT_ERROR_GONE",
        "PROCINSPECT_ERROR_REPLACED",
        "PROCINSPECT_ERROR_POLICY",
        "PROCINSPECT_ERROR_PERMISSION",
        "PROCINSPECT_ERROR_TRACED",
        "PROCINSPECT_ERROR_BUSY",
        "PROCINSPECT_ERROR_TOO_LARGE",
        "PROCINSPECT_ERROR_UNSUPPORTED",
        "PROCINSPECT_ERROR_NO_MEMORY",
        "PROCINSPECT_ERROR_NO_RESOURCES",
        "PROCINSPECT_ERROR_TIMED_OUT",
        "PROCINSPECT_ERROR_CANCELLED",
        "PROCINSPECT_ERROR_IO",
    };
    if (code > 0 || code <= -(int32_t)(sizeof names / sizeof names[0]))
        return "unknown";
    return names[-code];
}
