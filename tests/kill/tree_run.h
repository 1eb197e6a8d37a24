/* Trees of tests/targets/tree.c: started, ended through the library, and what was left of them. */
#ifndef TESTS_KILL_TREE_RUN_H
#define TESTS_KILL_TREE_RUN_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#include <procinspect.h>

#include "folders.h"
#include "targets/tree_log.h"

#define TREE_PROGRAM TESTS_BUILD_DIR "/targets/tree"

enum { TREE_WITNESSES = 2 };

typedef struct tree_run {
    tree_log *log;
    pid_t root;
    /* Processes started just before and behind the root: of its session, with numbers next to it.
     */
    pid_t witnesses[TREE_WITNESSES];
} tree_run;

/* How often a test repeats: few, or with PROCINSPECT_TEST_SOAK `many`. */
int tree_runs(int few, int many);

/* Whatever loses its parent comes to this process from now on. */
int tree_run_setup(void **state);
/* The same, and nobody is waited for: numbers are free at once. */
int tree_run_setup_waiting_for_none(void **state);

/* A child of the test itself. */
void tree_wait_for_end(pid_t child);

/* system(3), which has to wait, where otherwise nobody is waited for. */
int tree_shell(const char *command);

/* Whether the system lets this user trace his own processes: then every report is to be exact. */
bool tree_may_be_traced(void);

/* A context that may end processes of all users. */
procinspect_context *tree_context(void);

/* Starts a tree of this kind and waits until it stands. `program` NULL: the one that was built. */
void tree_start(tree_run *run, const char *program, const char *kind, int number);
/* Lets it do what it is there for, and ends it. The report is the caller's. */
const procinspect_kill_report *tree_end(const tree_run *run,
                                        const procinspect_kill_options *options);
/* Only tries to end what is below this process, whatever becomes of it. */
int32_t tree_try_to_end(pid_t root, const procinspect_kill_options *options,
                        procinspect_error *error);
/*
 * How many processes of the tree are alive that should not be: those whose parents all lived when
 * the tree was read (CLOCK_MONOTONIC; 0 where members are to be alive, and nothing is said of
 * them). Others had been given to init by then. All are ended and waited for, the witnesses too;
 * *witnesses_are_well before that.
 */
int tree_clear(tree_run *run, uint64_t read_at_ns, bool *witnesses_are_well);

/* Starts, ends and clears a tree of this kind, of at least so many members: all of it is to be
 * ended, and its witnesses are to be well. */
void tree_end_whole(const char *kind, int number, size_t members, uint32_t grace_ms);

/* A process outside the tree that only waits, until it is killed or the test ends. */
pid_t tree_start_witness(void);

/* Whether the witnesses of a run live, and aren't stopped. They are ended. */
bool tree_end_witnesses(const tree_run *run);

/* The letter of the state of a process, '?' where there is none. */
char tree_state(pid_t pid, pid_t *parent);

/* A child of this process, a host's helper say; 0 where it has none. */
pid_t tree_child_of(pid_t parent);

/* It lives, and isn't stopped. */
bool tree_goes_on(pid_t pid);

bool tree_is_traced(pid_t pid);

/* Copies the program of the trees, below /tmp, so that it runs as root whoever starts it. False
 * where that can't be. */
bool tree_copy_setuid(const char *to);

#endif
