/* SPDX-License-Identifier: MIT */

/* A library with everything that is read of one. Linkers that write this note are recent, so it is
 * made here. */
__asm__(".pushsection .note.package,\"a\",%note\n"
        ".balign 4\n"
        ".long 4, 2f - 1f, 0xcafe1a7e\n"
        ".asciz \"FDO\"\n"
        "1: .asciz "
        "\"{\\\"type\\\":\\\"deb\\\",\\\"name\\\":\\\"sample\\\",\\\"version\\\":\\\"1.2-3\\\"}\"\n"
        "2: .balign 4\n"
        ".popsection\n");

int module_sample(void);
int module_sample(void) {
    return 42;
}
