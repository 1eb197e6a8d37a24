/* SPDX-License-Identifier: MIT */
#include "http/target.h"

#include <unistd.h>

#include "base/error.h"
#include "http/errors.h"
#include "http/values.h"

static int32_t main_site_pid(const procinspect_http *http, int32_t *pid, procinspect_error *error) {
    const procinspect_http_options *options = &http->options;
    int32_t found = options->main_site != NULL ? options->main_site(options->main_site_user)
                                               : options->main_site_pid;
    if (found <= 0)
        return pi_error_set(
            error, PROCINSPECT_ERROR_NOT_FOUND, 0,
            "No main site is configured or running; set %s, or name a process by its id.",
            options->main_site_setting);
    *pid = found;
    return PROCINSPECT_OK;
}

int32_t pi_http_open_process(pi_http_exchange *exchange, procinspect_process **process,
                             procinspect_error *error) {
    int32_t pid;
    int32_t code = pi_http_parse_process_id(exchange->captures[0], &pid, error);
    if (code == PROCINSPECT_OK && pid == -1)
        code = main_site_pid(exchange->http, &pid, error);
    if (code != PROCINSPECT_OK)
        return code;
    exchange->pid = pid != 0 ? pid : (int32_t)getpid();
    code = procinspect_process_open(exchange->http->context, pid, process, error);
    if (code == PROCINSPECT_ERROR_NOT_FOUND && pid != 0)
        return pi_http_error_not_running(exchange->pid, error);
    if (code == PROCINSPECT_OK)
        exchange->pid = procinspect_process_pid(*process);
    return code;
}
