/* A dump in a file, as other programs read it: readers/check_minidump.py and LLDB. */
#ifndef TESTS_SYSTEM_DUMP_FILE_H
#define TESTS_SYSTEM_DUMP_FILE_H

#include <jansson.h>

#include "system/target.h"

#define READERS TESTS_SOURCE_DIR "/readers/"

/* What a command printed, at most so much of it. */
typedef struct output {
    int status;
    char text[16 << 20];
} output;

extern output last_output;

void run(const char *command);

/* For the group's set-up and tear-down. */
extern char dump_path[];
int make_dump_file(void **state);
int remove_dump_file(void **state);

/* Of the target into the file, by this way. */
void make_dump(const target *t, uint32_t type, uint32_t way);

/* What check_minidump.py says of the file: its summary, with what it found in `violations`. */
json_t *check_dump_file(void);

/* The file holds to every rule, is of this type, and shows the threads by the names that the live
 * process has. */
void assert_well_formed_as(pid_t pid, size_t thread_count, uint32_t type);

/* Runs readers/compare_lldb.py on the file, with these options of it. */
void compare_with_lldb(pid_t pid, const char *options);
/* LLDB sees the same in it as in the live process. */
void assert_same_in_lldb(pid_t pid, size_t thread_count, const char *options);

#endif
