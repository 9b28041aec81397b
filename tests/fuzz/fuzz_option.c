// SPDX-License-Identifier: GPL-2.0-or-later
/* A configuration file of any bytes: read or refused with one line, nothing leaked. */
#include "fuzz.h"
#include "option.h"

#include <assert.h>
#include <errno.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char error[512] = "";
	struct options options;
	int ret;

	if (options_init(&options) < 0)
		return 0;
	ret = options_parse(&options, (const char *)data, size, "fuzz", error, sizeof(error));
	assert(ret == 0 || ret == -EINVAL || ret == -ENOMEM);
	assert(ret != -EINVAL || strncmp(error, "fuzz:", 5) == 0);
	assert(options.output_count <= OPTIONS_OUTPUTS_MAX);
	assert(options.label_count <= OPTIONS_LABELS_MAX);
	options_free(&options);
	return 0;
}
