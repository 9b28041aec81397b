/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef NFWHO_FUZZ_FILES_H
#define NFWHO_FUZZ_FILES_H

#include <stddef.h>
#include <stdint.h>

/*
 * Files that hold the input: in front of open(2) and its kin, for a harness that links files.c.
 * From files_begin() to files_end() every name that is opened for reading is a regular file with
 * these bytes, and every link leads to where they say. One that is opened for writing too is that
 * very file.
 */
void files_begin(const uint8_t *content, size_t len);
void files_end(void);

/* So many bytes at most from each read(2), as procfs may give; 0: all. After files_begin(). */
void files_give(size_t bytes);

/* Where links lead instead. After files_begin(). */
void files_link(const char *target);

/* There are directories too, but none whose name is this number or above. In each of them stand the
 * numbers of the descriptors of this process. After files_begin(): until then there is none. */
void files_directories(unsigned int end);

/* What the file holds by now. Returns its length, or size if it is longer. */
size_t files_content(uint8_t *buf, size_t size);

/* Any directory: what is below it has the input's content. */
#define FILES_DIRECTORY 999

#endif
