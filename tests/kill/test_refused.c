/* Trees with a member that may not be ended, by the kernel or by the policy: refused before
 * anything is touched, with the member's number in the text. */
#include "kill/tree_run.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <grp.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

enum { NOBODY = 65534, MEMBERS = 4 };

/* A root with three children; all but the last belong to `user`, the last to `other`. */
typedef struct mixed_tree {
    atomic_int ready;
    pid_t members[MEMBERS];
    procinspect_error error;
    int32_t code;
} mixed_tree;

static mixed_tree *tree;

static void become(uid_t user) {
    if (setgroups(0, NULL) != 0 || setresgid(user, user, user) != 0 ||
        setresuid(user, user, user) != 0)
        _exit(7);
}

static _Noreturn void stand(int place, uid_t user) {
    become(user);
    prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0); /* a change of user resets it */
    tree->members[place] = getpid();
    atomic_fetch_add(&tree->ready, 1);
    for (;;)
        pause();
}

static void start(uid_t user, uid_t other) {
    memset(tree, 0, sizeof *tree);
    pid_t root = fork();
    if (root == 0) {
        for (int i = 1; i < MEMBERS; i++)
            if (fork() == 0)
                stand(i, i == MEMBERS - 1 ? other : user);
        stand(0, user);
    }
    assert_true(root > 0);
    while (atomic_load(&tree->ready) != MEMBERS)
        usleep(500);
}

/* In a host of this user. */
static void end_as(uid_t user, uint32_t user_scope) {
    pid_t host = fork();
    if (host == 0) {
        procinspect_context_options options;
        procinspect_context *context = NULL;
        procinspect_process *process = NULL;
        const procinspect_kill_report *report = NULL;
        become(user);
        procinspect_context_options_init(&options, sizeof options);
        options.allow = PROCINSPECT_ALLOW_KILL;
        options.user_scope = user_scope;
        tree->code = procinspect_context_new(&options, &context, &tree->error);
        if (tree->code == PROCINSPECT_OK)
            tree->code =
                procinspect_process_open(context, tree->members[0], &process, &tree->error);
        if (tree->code == PROCINSPECT_OK)
            tree->code = procinspect_kill_tree(process, NULL, &report, &tree->error);
        _exit(0);
    }
    assert_int_equal(waitpid(host, NULL, 0), host);
}

static void check_untouched_and_clear(void) {
    for (int i = 0; i < MEMBERS; i++) {
        assert_int_equal(tree_state(tree->members[i], NULL), 'S');
        assert_false(tree_is_traced(tree->members[i]));
    }
    for (int i = 0; i < MEMBERS; i++)
        kill(tree->members[i], SIGKILL);
    while (waitpid(-1, NULL, 0) > 0)
        ;
}

static void check_text(const char *says) {
    char member[64];
    snprintf(member, sizeof member, "process %d (test_kill_refu", (int)tree->members[MEMBERS - 1]);
    if (strstr(tree->error.message, member) == NULL || strstr(tree->error.message, says) == NULL)
        fail_msg("neither '%s' nor '%s' in: %s", member, says, tree->error.message);
    assert_non_null(strstr(tree->error.message, "Nothing was stopped."));
}

static bool can_be_several_users(void) {
    if (getuid() != 0)
        print_message("takes root to run as two users\n");
    return getuid() == 0;
}

static void a_member_that_may_not_be_signalled(void **state) {
    (void)state;
    if (!can_be_several_users())
        skip();
    start(NOBODY, 0);
    end_as(NOBODY, PROCINSPECT_USER_SCOPE_ALL);
    assert_int_equal(tree->code, PROCINSPECT_ERROR_PERMISSION);
    assert_int_equal(tree->error.os_errno, EPERM);
    check_text("CAP_KILL");
    check_untouched_and_clear();
}

static void a_member_outside_the_user_scope(void **state) {
    (void)state;
    if (!can_be_several_users())
        skip();
    start(0, NOBODY);
    end_as(0, PROCINSPECT_USER_SCOPE_OWN);
    assert_int_equal(tree->code, PROCINSPECT_ERROR_POLICY);
    check_text("belongs to the user 65534");
    check_untouched_and_clear();
}

static int share_tree(void **state) {
    tree = mmap(NULL, sizeof *tree, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    return tree == MAP_FAILED ? -1 : tree_run_setup(state);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_member_that_may_not_be_signalled),
        cmocka_unit_test(a_member_outside_the_user_scope),
    };
    return cmocka_run_group_tests(tests, share_tree, NULL);
}
