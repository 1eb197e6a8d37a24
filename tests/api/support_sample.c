/* SPDX-License-Identifier: MIT */
/* A library that is only mapped and copied; each has its own bytes and build id. */
extern const char support_sample[];
const char support_sample[] = NAME;
