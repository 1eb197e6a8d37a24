/* SPDX-License-Identifier: MIT */
/* Support files of processes in another mount namespace. */
#include "api/support_tree.h"

#include <fcntl.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "platform/hung_mount.h"

#define DAC "libmscordaccore.so"
#define DBI "libmscordbi.so"

static const char *const coreclr[] = {DOTNET "/libcoreclr.so"};

/* A file system of its own at the folder, which nobody else sees. */
static bool mount_own(void) {
    return mount("own", support_path("."), "tmpfs", 0, "mode=0755") == 0;
}

static bool make_own_dotnet(void) {
    if (!mount_own())
        return false;
    make_dotnet();
    return true;
}

static void what_only_the_process_sees_takes_the_option(void **state) {
    (void)state;
    skip_unless_root();
    for (int how = IN_OTHER_MOUNTS; how <= (IN_OTHER_MOUNTS | AS_ROOT); how += AS_ROOT) {
        pid_t pid = start_mapping(coreclr, 1, how, make_own_dotnet);
        const procinspect_zip_manifest *manifest = read_zip_of(pid, 0, 0);
        bool is_root = (how & AS_ROOT) != 0;
        assert_missing(manifest, DAC,
                       is_root ? PROCINSPECT_ZIP_FILE_REFUSED : PROCINSPECT_ZIP_FILE_ABSENT,
                       "PROCINSPECT_ZIP_FROM_TARGET");
        manifest = read_zip_of(pid, PROCINSPECT_ZIP_FROM_TARGET, 0);
        const procinspect_zip_file *line = line_of(manifest, DBI);
        assert_string_equal(line->reason != NULL ? line->reason : "", "");
        assert_int_equal(line->state, PROCINSPECT_ZIP_FILE_WHOLE);
        assert_int_equal(line->flags, PROCINSPECT_ZIP_FILE_FROM_TARGET);
        assert_int_equal(line_of(manifest, DAC)->flags, PROCINSPECT_ZIP_FILE_FROM_TARGET);
        end_mapping(pid);
    }
}

/* A service of systemd's, say, that has a /tmp of its own. */
static void what_both_see_is_the_hosts(void **state) {
    (void)state;
    skip_unless_root();
    make_dotnet();
    pid_t pid = start_mapping(coreclr, 1, IN_OTHER_MOUNTS, NULL);
    const procinspect_zip_manifest *manifest = read_zip_of(pid, PROCINSPECT_ZIP_FROM_TARGET, 0);
    assert_whole(manifest, DOTNET "/" DAC);
    assert_int_equal(line_of(manifest, DAC)->flags, 0);
    end_mapping(pid);
}

/* Root of a container could have written a folder that it shares with the host. */
static void root_of_another_namespace_has_no_hosts_files(void **state) {
    (void)state;
    skip_unless_root();
    make_dotnet();
    pid_t pid = start_mapping(coreclr, 1, IN_OTHER_MOUNTS | AS_ROOT, NULL);
    assert_missing(read_zip_of(pid, 0, 0), DAC, PROCINSPECT_ZIP_FILE_REFUSED, "rights of root");
    const procinspect_zip_manifest *manifest = read_zip_of(pid, PROCINSPECT_ZIP_FROM_TARGET, 0);
    assert_whole(manifest, DOTNET "/" DAC);
    assert_int_equal(line_of(manifest, DAC)->flags, PROCINSPECT_ZIP_FILE_FROM_TARGET);
    end_mapping(pid);
}

/* The same path leads to one build here and another there. */
static void another_build_at_the_same_path(void **state) {
    (void)state;
    skip_unless_root();
    make_dotnet();
    copy_library("libjvm.so", coreclr[0]);
    pid_t pid = start_mapping(coreclr, 1, IN_OTHER_MOUNTS, make_own_dotnet);
    assert_missing(read_zip_of(pid, 0, 0), DAC, PROCINSPECT_ZIP_FILE_REFUSED, "another build");
    end_mapping(pid);
}

static void plant(const char *module, const char *target) {
    char path[SUPPORT_PATH_SIZE];
    copy_library("libjvm.so", module);
    snprintf(path, sizeof path, "%s-gdb.py", module);
    if (target != NULL && symlink(target, support_path(path)) != 0)
        _exit(1);
}

static bool make_traps(void) {
    if (!mount_own())
        return false;
    write_file("secret", "root's alone\n");
    write_file("closed/secret", "root's alone\n");
    write_file("open", "for all\n");
    plant("secret.so", "secret");
    plant("closed.so", "closed/secret");
    plant("fifo.so", NULL);
    plant("fine.so", "open");
    return chmod(support_path("secret"), 0600) == 0 && chmod(support_path("closed"), 0700) == 0 &&
           mkfifo(support_path("fifo.so-gdb.py"), 0666) == 0;
}

/* What its user couldn't read it doesn't make us read, nor wait for. */
static void what_is_planted_is_refused(void **state) {
    (void)state;
    skip_unless_root();
    static const char *const modules[] = {"secret.so", "closed.so", "fifo.so", "fine.so"};
    pid_t pid = start_mapping(modules, 4, IN_OTHER_MOUNTS, make_traps);
    const procinspect_zip_manifest *manifest = read_zip_of(pid, PROCINSPECT_ZIP_FROM_TARGET, 0);
    assert_missing(manifest, "secret.so-gdb.py", PROCINSPECT_ZIP_FILE_REFUSED,
                   "secret isn't for everybody to read");
    assert_missing(manifest, "closed.so-gdb.py", PROCINSPECT_ZIP_FILE_REFUSED,
                   "closed isn't for everybody to read");
    assert_missing(manifest, "fifo.so-gdb.py", PROCINSPECT_ZIP_FILE_REFUSED, "no regular file");
    const procinspect_zip_file *line = line_of(manifest, "fine.so-gdb.py");
    assert_int_equal(line->state, PROCINSPECT_ZIP_FILE_WHOLE);
    assert_int_equal(line->size_bytes, strlen("for all\n"));
    end_mapping(pid);
}

/* A root that is the folder as it is seen from here, so that the process's names stay good. */
static bool make_own_root(void) {
    char inside[SUPPORT_PATH_SIZE], up[] = "../../../../../../../../etc/passwd";
    if (!mount_own())
        return false;
    snprintf(inside, sizeof inside, "%s/absolute.so", support_path(".") + 1);
    copy_library("libjvm.so", inside);
    memcpy(strstr(inside, "absolute.so"), "relative.so", strlen("relative.so"));
    copy_library("libjvm.so", inside);
    make_folders("old/");
    if (syscall(SYS_pivot_root, support_path("."), support_path("old")) != 0 || chdir("/") != 0 ||
        umount2("/old", MNT_DETACH) != 0)
        return false;
    return symlink("/etc/passwd", support_path("absolute.so-gdb.py")) == 0 &&
           symlink(up, support_path("relative.so-gdb.py")) == 0;
}

static void no_link_leads_out_of_its_root(void **state) {
    (void)state;
    skip_unless_root();
    static const char *const modules[] = {"absolute.so", "relative.so"};
    pid_t pid = start_mapping(modules, 2, IN_OTHER_MOUNTS, make_own_root);
    const procinspect_zip_manifest *manifest = read_zip_of(pid, PROCINSPECT_ZIP_FROM_TARGET, 0);
    assert_int_equal(count_lines(manifest), 0); /* there is no such file in there */
    end_mapping(pid);
}

static volatile bool *is_hung;

static bool mount_hung(void) {
    static hung_mount mounted;
    static char bytes[64 * 1024];
    int file = open(TESTS_BUILD_DIR "/api/libcoreclr.so", O_RDONLY | O_CLOEXEC);
    ssize_t length = read(file, bytes, sizeof bytes);
    close(file);
    return length > 0 &&
           hung_mount_enter(&mounted, support_path("."), bytes, (size_t)length, is_hung);
}

static void a_file_system_that_hangs_is_not_waited_for(void **state) {
    (void)state;
    skip_unless_root();
    static const char *const modules[] = {"libcoreclr.so"};
    is_hung = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    *is_hung = false;
    pid_t pid = start_mapping(modules, 1, IN_OTHER_MOUNTS, mount_hung);
    *is_hung = true;
    time_t before = time(NULL);
    const procinspect_zip_manifest *manifest = read_zip_of(pid, PROCINSPECT_ZIP_FROM_TARGET, 0);
    assert_true(time(NULL) - before < HUNG_MOUNT_SECONDS / 2);
    assert_missing(manifest, DAC, PROCINSPECT_ZIP_FILE_REFUSED, "may never answer");
    *is_hung = false;
    end_mapping(pid);
    munmap((void *)(uintptr_t)is_hung, 4096);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(what_only_the_process_sees_takes_the_option, support_setup,
                                        support_teardown),
        cmocka_unit_test_setup_teardown(what_both_see_is_the_hosts, support_setup,
                                        support_teardown),
        cmocka_unit_test_setup_teardown(root_of_another_namespace_has_no_hosts_files, support_setup,
                                        support_teardown),
        cmocka_unit_test_setup_teardown(another_build_at_the_same_path, support_setup,
                                        support_teardown),
        cmocka_unit_test_setup_teardown(what_is_planted_is_refused, support_setup,
                                        support_teardown),
        cmocka_unit_test_setup_teardown(no_link_leads_out_of_its_root, support_setup,
                                        support_teardown),
        cmocka_unit_test_setup_teardown(a_file_system_that_hangs_is_not_waited_for, support_setup,
                                        support_teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
