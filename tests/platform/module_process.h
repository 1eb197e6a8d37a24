/* SPDX-License-Identifier: MIT */
#ifndef TESTS_PLATFORM_MODULE_PROCESS_H
#define TESTS_PLATFORM_MODULE_PROCESS_H

#include <stdbool.h>
#include <sys/types.h>

#include "folders.h"
#include "platform/platform.h"

/* Processes to look at, and their modules: for the tests of modules. Failures fail the test. */

#define TARGET(name) TESTS_BUILD_DIR "/platform/module_target_" name
#define SAMPLE TESTS_BUILD_DIR "/platform/libmodule_sample.so.3.2.1"
#define SAMPLE_BUILD_ID "00112233445566778899aabbccddeeff"

/* Starts program with up to four more arguments, the first that is NULL ends them, and waits until
 * it is ready. */
pid_t target_start(const char *program, const char *const arguments[4]);
void target_end(pid_t pid);

/* What pi_modules_read answers; list is NULL where it failed. */
typedef struct module_answer {
    int32_t result;
    procinspect_error error;
    const procinspect_module_list *list;
} module_answer;
module_answer modules_read_from(const char *proc_root, pid_t pid, uint64_t base, uint64_t members);
module_answer modules_read(pid_t pid);
void modules_free(const module_answer *answer);

/* Of the modules with this path, the only one. */
const procinspect_module_info *module_find(const module_answer *answer, const char *path);
bool module_is_there(const module_answer *answer, const char *path);

/* In hex. */
void assert_build_id(const procinspect_module_info *module, const char *build_id);

/* What readelf says of a file. */
void read_build_id(const char *path, char hex[129]);

void copy_file(const char *from, const char *to);

enum { FOLDER_SIZE = 64 };

/* A folder of the test's own, and one that only holds empty folders and files. */
void folder_make(char path[FOLDER_SIZE]);
void folder_remove(const char *path);

#endif
