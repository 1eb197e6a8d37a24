#include "kill/stuck_tree.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "folders.h"

#define STUCK_PROGRAM TESTS_BUILD_DIR "/targets/stuck"

enum { END_LIMIT_MS = 10000 };

static int start_program(stuck_tree *tree, const char *which) {
    int input[2], output[2];
    assert_int_equal(pipe2(input, O_CLOEXEC), 0);
    assert_int_equal(pipe2(output, O_CLOEXEC), 0);
    tree->program = fork();
    if (tree->program == 0) {
        dup2(input[0], STDIN_FILENO);
        dup2(output[1], STDOUT_FILENO);
        execl(STUCK_PROGRAM, "stuck", which, (char *)NULL);
        _exit(127);
    }
    assert_true(tree->program > 0);
    close(input[0]);
    close(output[1]);
    tree->input = input[1];
    return output[0];
}

bool stuck_tree_start(stuck_tree *tree, const char *which) {
    char line[256] = "";
    int root = 0, stuck = 0, status = 0;
    FILE *output = fdopen(start_program(tree, which), "r");
    assert_non_null(output);
    bool is_said = fgets(line, sizeof line, output) != NULL;
    fclose(output);
    if (is_said && sscanf(line, "%d %d", &root, &stuck) == 2) {
        tree->root = root;
        tree->stuck = stuck;
        tree->stuck_pidfd = (int)syscall(SYS_pidfd_open, stuck, 0);
        assert_true(tree->stuck_pidfd >= 0);
        return true;
    }
    close(tree->input);
    assert_int_equal(waitpid(tree->program, &status, 0), tree->program);
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), 77);
    print_message("%s", line);
    return false;
}

bool stuck_tree_let_go(stuck_tree *tree) {
    struct pollfd end = {.fd = tree->stuck_pidfd, .events = POLLIN};
    bool was_stuck = poll(&end, 1, 0) == 0;
    close(tree->input);
    assert_int_equal(waitpid(tree->program, NULL, 0), tree->program);
    bool has_ended = poll(&end, 1, END_LIMIT_MS) == 1;
    close(tree->stuck_pidfd);
    return was_stuck && has_ended;
}
