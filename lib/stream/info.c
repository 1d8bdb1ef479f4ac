/*
 * What gRPC's tools ask any server: is it healthy, what does it offer.
 */
#include "lib/stream/internal.h"

#include <string.h>

#include "health.pb-c.h"
#include "lib/base/mem.h"
#include "reflection-v1alpha.pb-c.h"
#include "reflection.pb-c.h"
#include "lib/base/banned.h"

/* Descriptions as protoc made them: a set of one file each. */
#define INCBIN(name, file)                                        \
	extern const uint8_t name[], name##_end[];                \
	__asm__(".pushsection .rodata\n"                          \
		".global " #name ", " #name "_end\n" #name ":\n"  \
		".incbin \"" file "\"\n" #name "_end:\n"          \
		".popsection\n")

INCBIN(pb_cirunner, "cirunner.pb");
INCBIN(pb_forge, "forge.pb");
INCBIN(pb_health, "health.pb");
INCBIN(pb_reflection, "reflection.pb");
INCBIN(pb_reflection_v1alpha, "reflection-v1alpha.pb");

static const struct {
	const char *file, *package;
	const uint8_t *p, *end;
} files[] = {
	{ "cirunner.proto", "cirunner.agent", pb_cirunner, pb_cirunner_end },
	{ "forge.proto", "forge.agent.v1", pb_forge, pb_forge_end },
	{ "health.proto", "grpc.health.v1", pb_health, pb_health_end },
	{ "reflection.proto", "grpc.reflection.v1", pb_reflection,
		pb_reflection_end },
	{ "reflection-v1alpha.proto", "grpc.reflection.v1alpha",
		pb_reflection_v1alpha, pb_reflection_v1alpha_end },
};

static const char *const services[] = { "cirunner.agent.AgentService",
	"cirunner.agent.RegistrationService", "forge.agent.v1.Agent",
	"grpc.health.v1.Health", "grpc.reflection.v1.ServerReflection",
	"grpc.reflection.v1alpha.ServerReflection" };

static bool
known(const char *service)
{
	size_t i;

	for (i = 0; i < ARRAY_SIZE(services); i++)
		if (!strcmp(service, services[i]))
			return true;
	return !*service; /* the server as a whole */
}

/* ---- health ---- */

static void
health_message(struct grpc_call *call, const void *p, size_t n)
{
	CLEANUP_ARENA struct arena arena = ARENA_INIT;
	Grpc__Health__V1__HealthCheckRequest *m = pb_unpack(
		&grpc__health__v1__health_check_request__descriptor, p, n,
		&arena);
	Grpc__Health__V1__HealthCheckResponse r =
		GRPC__HEALTH__V1__HEALTH_CHECK_RESPONSE__INIT;
	bool watch = grpc_arg(call);

	r.status = m && known(m->service) ?
		GRPC__HEALTH__V1__HEALTH_CHECK_RESPONSE__SERVING_STATUS__SERVING :
		GRPC__HEALTH__V1__HEALTH_CHECK_RESPONSE__SERVING_STATUS__SERVICE_UNKNOWN;
	if (!m)
		grpc_finish(call, GRPC_INVALID_ARGUMENT,
			"the message is not a HealthCheckRequest");
	else if (!watch && !known(m->service))
		grpc_finish(call, GRPC_NOT_FOUND, "unknown service");
	else
		(void)pb_send(call, &r.base);
	if (!watch)
		grpc_finish(call, GRPC_OK, NULL);
}

void
health_check_open(struct grpc_call *call, void *arg)
{
	static const struct grpc_handler handler = {
		.message = health_message };

	(void)arg;
	grpc_handle(call, &handler, NULL);
}

/* It does not change while we live; our end ends it. */
void
health_watch_open(struct grpc_call *call, void *arg)
{
	static const struct grpc_handler handler = {
		.message = health_message };

	grpc_handle(call, &handler, arg);
}

/* ---- reflection ---- */

/* Of a set with one file: the file, behind its tag and length. */
static ProtobufCBinaryData
file_bytes(size_t i)
{
	const uint8_t *p = files[i].p + 1;
	size_t len = 0;
	unsigned shift = 0;

	do
		len |= (size_t)(*p & 0x7f) << 7 * shift++;
	while (*p++ & 0x80);
	return (ProtobufCBinaryData){ .len = len,
		.data = (uint8_t *)(uintptr_t)p };
}

/* The last word of a symbol stands in its file as a name. */
static bool
has_symbol(size_t i, const char *symbol)
{
	size_t len = strlen(files[i].package);
	ProtobufCBinaryData file = file_bytes(i);
	const char *last;

	if (!symbol || strncmp(symbol, files[i].package, len) != 0 ||
		(symbol[len] && symbol[len] != '.'))
		return false;
	last = strrchr(symbol, '.');
	return !symbol[len] ||
		(last && memmem(file.data, file.len, last + 1,
				 strlen(last + 1)));
}

static int
find_file(const char *name, const char *symbol)
{
	size_t i;

	for (i = 0; i < ARRAY_SIZE(files); i++)
		if (name ? !strcmp(name, files[i].file) :
			   has_symbol(i, symbol))
			return (int)i;
	return -1;
}

/* Both versions have the same bytes, so one answers for both. */
static void
answer(struct grpc_call *call, Grpc__Reflection__V1__ServerReflectionRequest *m)
{
	Grpc__Reflection__V1__ServerReflectionResponse r =
		GRPC__REFLECTION__V1__SERVER_REFLECTION_RESPONSE__INIT;
	Grpc__Reflection__V1__FileDescriptorResponse file =
		GRPC__REFLECTION__V1__FILE_DESCRIPTOR_RESPONSE__INIT;
	Grpc__Reflection__V1__ListServiceResponse list =
		GRPC__REFLECTION__V1__LIST_SERVICE_RESPONSE__INIT;
	Grpc__Reflection__V1__ErrorResponse error =
		GRPC__REFLECTION__V1__ERROR_RESPONSE__INIT;
	Grpc__Reflection__V1__ServiceResponse each[ARRAY_SIZE(services)];
	Grpc__Reflection__V1__ServiceResponse *all[ARRAY_SIZE(services)];
	ProtobufCBinaryData bytes = { 0 };
	char none[] = "not found";
	int at = -1;
	size_t i;

	if (m->message_request_case ==
		GRPC__REFLECTION__V1__SERVER_REFLECTION_REQUEST__MESSAGE_REQUEST_FILE_BY_FILENAME)
		at = find_file(m->file_by_filename, NULL);
	if (m->message_request_case ==
		GRPC__REFLECTION__V1__SERVER_REFLECTION_REQUEST__MESSAGE_REQUEST_FILE_CONTAINING_SYMBOL)
		at = find_file(NULL, m->file_containing_symbol);
	r.valid_host = m->host;
	r.original_request = m;
	error.error_code = GRPC_NOT_FOUND;
	error.error_message = none;
	r.error_response = &error;
	r.message_response_case =
		GRPC__REFLECTION__V1__SERVER_REFLECTION_RESPONSE__MESSAGE_RESPONSE_ERROR_RESPONSE;
	if (m->message_request_case ==
		GRPC__REFLECTION__V1__SERVER_REFLECTION_REQUEST__MESSAGE_REQUEST_LIST_SERVICES) {
		for (i = 0; i < ARRAY_SIZE(services); i++) {
			grpc__reflection__v1__service_response__init(&each[i]);
			each[i].name = (char *)(uintptr_t)services[i];
			all[i] = &each[i];
		}
		list.n_service = ARRAY_SIZE(services);
		list.service = all;
		r.list_services_response = &list;
		r.message_response_case =
			GRPC__REFLECTION__V1__SERVER_REFLECTION_RESPONSE__MESSAGE_RESPONSE_LIST_SERVICES_RESPONSE;
	} else if (at >= 0) {
		bytes = file_bytes((size_t)at);
		file.n_file_descriptor_proto = 1;
		file.file_descriptor_proto = &bytes;
		r.file_descriptor_response = &file;
		r.message_response_case =
			GRPC__REFLECTION__V1__SERVER_REFLECTION_RESPONSE__MESSAGE_RESPONSE_FILE_DESCRIPTOR_RESPONSE;
	}
	(void)pb_send(call, &r.base);
}

static void
reflection_message(struct grpc_call *call, const void *p, size_t n)
{
	CLEANUP_ARENA struct arena arena = ARENA_INIT;
	Grpc__Reflection__V1__ServerReflectionRequest *m = pb_unpack(
		&grpc__reflection__v1__server_reflection_request__descriptor,
		p, n, &arena);

	if (!m) {
		grpc_finish(call, GRPC_INVALID_ARGUMENT,
			"the message is not a ServerReflectionRequest");
		return;
	}
	answer(call, m);
	/* Who does not read the answers is not to ask on. */
	if (grpc_queued(call) > GRPC_QUEUE_LOW)
		grpc_pause(call, true);
}

static void
reflection_drained(struct grpc_call *call)
{
	grpc_pause(call, false);
}

static void
end_well(struct grpc_call *call)
{
	grpc_finish(call, GRPC_OK, NULL);
}

void
reflection_open(struct grpc_call *call, void *arg)
{
	static const struct grpc_handler handler = {
		.message = reflection_message, .half_closed = end_well,
		.drained = reflection_drained };

	grpc_handle(call, &handler, arg);
}
