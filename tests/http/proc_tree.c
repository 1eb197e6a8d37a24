/* SPDX-License-Identifier: MIT */
#include "http/client.h"

#include "http/proc_tree.h"

#include <ftw.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

static void write_file(const char *root, const char *name, const void *bytes, size_t length) {
    char path[256];
    snprintf(path, sizeof path, "%s/%s", root, name);
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    assert_int_equal(fwrite(bytes, 1, length, file), length);
    assert_int_equal(fclose(file), 0);
}

static void write_text(const char *root, const char *name, const char *text) {
    write_file(root, name, text, strlen(text));
}

static void make_folder(const char *root, const char *name) {
    char path[256];
    snprintf(path, sizeof path, "%s/%s", root, name);
    assert_int_equal(mkdir(path, 0700), 0);
}

static void make_link(const char *root, const char *name, const char *target) {
    char path[256];
    snprintf(path, sizeof path, "%s/%s", root, name);
    assert_int_equal(symlink(target, path), 0);
}

static void write_stat(const char *root, const char *file, int id, const char *name, char state,
                       int parent, int threads) {
    char text[512];
    snprintf(text, sizeof text,
             "%d (%s) %c %d %d %d 0 -1 4194304 100 0 0 0 150 25 0 0 20 0 %d 0 1000 10485760 256 "
             "18446744073709551615 1 1 0 0 0 0 0 0 0 0 0 0 17 1 0 0 0 0 0 0 0 0 0 0 0 0 0\n",
             id, name, state, parent, id, id, threads);
    write_text(root, file, text);
}

static void make_process(const char *root, int pid, const char *name, char state, int parent) {
    char folder[32], file[64];
    snprintf(folder, sizeof folder, "%d", pid);
    make_folder(root, folder);
    snprintf(file, sizeof file, "%d/stat", pid);
    write_stat(root, file, pid, name, state, parent, 1);
    snprintf(file, sizeof file, "%d/cmdline", pid);
    write_text(root, file, "");
}

static void fill_worker(const char *root) {
    static const char environment[] =
        "PATH=/bin\0HOME=/root\0path_info=x\0NAME=first\0NAME=second\0"
        "not a variable\0ODD\xff=\xfe\0";
    make_process(root, 4242, "worker", 'S', 17);
    write_stat(root, "4242/stat", 4242, "worker", 'S', 17, 2);
    write_file(root, "4242/cmdline", "/usr/bin/worker\0--all\0", 22);
    write_file(root, "4242/environ", environment, sizeof environment - 1);
    write_text(root, "4242/status",
               "Name:\tworker\nState:\tS (sleeping)\nTgid:\t4242\nPid:\t4242\nPPid:\t17\n"
               "TracerPid:\t0\nVmPeak:\t    2000 kB\nVmSize:\t    1900 kB\nVmHWM:\t    1500 kB\n"
               "VmRSS:\t    1400 kB\nVmData:\t     300 kB\nVmSwap:\t      40 kB\n");
    write_text(root, "4242/maps", "");
    make_link(root, "4242/exe", "/usr/bin/worker");
    make_folder(root, "4242/fd");
    make_link(root, "4242/fd/0", "/dev/null");
    make_link(root, "4242/fd/3", "socket:[77]");
    make_folder(root, "4242/task");
    make_folder(root, "4242/task/4242");
    make_folder(root, "4242/task/4243");
    write_stat(root, "4242/task/4242/stat", 4242, "worker", 'S', 17, 2);
    write_stat(root, "4242/task/4243/stat", 4243, "pool-1", 'R', 17, 2);
}

char *make_proc_tree(void) {
    char *root = strdup("/tmp/procinspect-http-XXXXXX");
    assert_non_null(root);
    assert_non_null(mkdtemp(root));
    write_text(root, "stat", "cpu  1 2 3 4\nbtime 1767323035\n");
    make_process(root, 17, "Anvil", 'S', 0);
    make_process(root, 18, "b) R 1 (b\n", 'Z', 17);
    fill_worker(root);
    return root;
}

static int remove_entry(const char *path, const struct stat *status, int kind, struct FTW *at) {
    (void)status;
    (void)kind;
    (void)at;
    return remove(path);
}

void remove_proc_tree(char *path) {
    assert_int_equal(nftw(path, remove_entry, 8, FTW_DEPTH | FTW_PHYS), 0);
    free(path);
}
