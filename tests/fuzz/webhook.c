/* A signed body is still a stranger's: any bytes as a workflow_job. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "lib/runner/job.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
const char *__lsan_default_suppressions(void);

/* The parser of jq 1.6 loses a string when what follows it is no JSON. */
const char *
__lsan_default_suppressions(void)
{
	return "leak:libjq";
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	CLEANUP_JSON struct json *payload = NULL;
	CLEANUP_JOB struct job j = JOB_INIT;
	struct err err = ERR_INIT;

	if (json_parse((const char *)data, size, &payload, &err))
		return 0;
	if (job_parse(payload, &j, &err))
		return 0;
	if (j.id < 1 || j.run_id < 1 || strlen(j.repo) > 255 ||
		strlen(j.name) > 1024 || !strchr(j.repo, '/') ||
		j.labels[0] != '[')
		abort();
	return 0;
}
