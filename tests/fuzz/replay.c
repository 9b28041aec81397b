// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Runs a harness over a corpus without libFuzzer: every file of the folder named, whole and cut off
 * at every length, each time in an allocation of just that size.
 */
#include "fuzz.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define INPUT_MAX 65536

static void feed(const uint8_t *data, size_t len)
{
	uint8_t *copy = malloc(len ? len : 1);

	if (!copy)
		abort();
	memcpy(copy, data, len);
	LLVMFuzzerTestOneInput(copy, len);
	free(copy);
}

static int replay(const char *folder, const char *name)
{
	static uint8_t data[INPUT_MAX];
	char path[4096];
	FILE *file;
	size_t len;

	snprintf(path, sizeof(path), "%s/%s", folder, name);
	file = fopen(path, "re");
	if (!file) {
		perror(path);
		return -1;
	}
	len = fread(data, 1, sizeof(data), file);
	fclose(file);
	for (size_t n = 0; n <= len; n++)
		feed(data, n);
	return 0;
}

int main(int argc, char **argv)
{
	struct dirent *entry;
	unsigned int files = 0;
	DIR *dir;

	if (argc != 2) {
		fprintf(stderr, "usage: %s FOLDER\n", argv[0]);
		return 2;
	}
	dir = opendir(argv[1]);
	if (!dir) {
		perror(argv[1]);
		return 1;
	}
	while ((entry = readdir(dir))) {
		if (entry->d_name[0] == '.')
			continue;
		if (replay(argv[1], entry->d_name) < 0)
			return 1;
		files++;
	}
	closedir(dir);
	printf("%u files\n", files);
	return files ? 0 : 1;
}
