/* SPDX-License-Identifier: MIT */
#include <procinspect/version.h>

uint32_t procinspect_version(void) {
    return PROCINSPECT_VERSION_MAJOR << 16 | PROCINSPECT_VERSION_MINOR << 8 |
           PROCINSPECT_VERSION_PATCH;
}

/* The digits of a macro's value as text. */
#define TEXT_OF(number) TEXT_OF_TOKENS(number)
#define TEXT_OF_TOKENS(tokens) #tokens

const char *procinspect_version_text(void) {
    return TEXT_OF(PROCINSPECT_VERSION_MAJOR) "." TEXT_OF(PROCINSPECT_VERSION_MINOR) "." TEXT_OF(
        PROCINSPECT_VERSION_PATCH);
}
