/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef NFWHO_FUZZ_H
#define NFWHO_FUZZ_H

#include <stddef.h>
#include <stdint.h>

/* One harness: what libFuzzer and replay.c call with each input, which stands in an allocation of
 * exactly its size, aligned as malloc does. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#endif
