#!/usr/bin/python3
"""agent.py URL DIR register TOKEN KIND | stream MODE | health | reflect

An agent as kuiper-forge's are on the wire, on gRPC's C core.  DIR has ca.crt,
and client.crt and client.key where there are any; register writes them.  Each
message that comes is a line of stdout; the last is "end STATUS: text".
The messages are those that protoc described in $GEN.
"""
import os
import queue
import subprocess
import sys
import threading

import grpc
from google.protobuf import descriptor_pb2, descriptor_pool, message_factory

pool = descriptor_pool.DescriptorPool()
for name in ("cirunner", "health", "reflection"):
    files = descriptor_pb2.FileDescriptorSet()
    with open(f"{os.environ['GEN']}/{name}.pb", "rb") as f:
        files.ParseFromString(f.read())
    for one in files.file:
        pool.Add(one)
factory = message_factory.MessageFactory(pool)


def kind(name):
    return factory.GetPrototype(pool.FindMessageTypeByName(name))


AGENT = "cirunner.agent."
Message = kind(AGENT + "AgentMessage")
Command = kind(AGENT + "CoordinatorMessage")
url, where, verb, *args = sys.argv[1:]


def read(name):
    try:
        with open(f"{where}/{name}", "rb") as f:
            return f.read()
    except FileNotFoundError:
        return None


channel = grpc.secure_channel(
    url,
    grpc.ssl_channel_credentials(read("ca.crt"), read("client.key"), read("client.crt")),
)


def say(*words):
    print(*words, flush=True)


def end(error=None):
    code = error.code().name if error else "OK"
    say(f"end {code}: {error.details() if error else ''}".rstrip())


def unary(path, request, answer):
    call = channel.unary_unary(
        path,
        request_serializer=lambda m: m.SerializeToString(),
        response_deserializer=kind(answer).FromString,
    )
    return call(request, timeout=20)


def stream(path, source, answer):
    call = channel.stream_stream(
        path,
        request_serializer=lambda m: m.SerializeToString(),
        response_deserializer=kind(answer).FromString,
    )
    return call(source, timeout=float(os.environ.get("DEADLINE", 120)))


def register(token, agent_type):
    r = unary(
        f"/{AGENT}RegistrationService/Register",
        kind(AGENT + "RegisterRequest")(
            registration_token=token, hostname="Peer.Example", agent_type=agent_type,
            labels=["linux"], max_vms=2,
        ),
        AGENT + "RegisterResponse",
    )
    for name, text in (("ca.crt", r.server_ca_pem), ("client.crt", r.client_cert_pem),
                       ("client.key", r.client_key_pem)):
        with open(f"{where}/{name}", "w", encoding="utf-8") as f:
            f.write(text)
    say("registered", r.agent_id, r.server_trust_mode, r.expires_at[:2])


def status(vms=(), agent_type="tart"):
    m = Message()
    m.status.agent_id = "not-me"
    m.status.hostname = "peer"
    m.status.agent_type = agent_type
    m.status.max_vms = 2
    m.status.available_slots = 2 - len(vms)
    m.status.active_vms = len(vms)
    m.status.label_sets.add().labels.extend(["Linux", "x64"])
    m.status.label_sets.add().labels.extend(["macos"])
    for vm in vms:
        m.status.vms.add(vm_id="id-" + vm, name=vm, state="running")
    return m


def event(name, what):
    m = Message()
    m.runner_event.runner_name = name
    m.runner_event.vm_id = "id-" + name
    m.runner_event.event_type = what
    return m


def agent(mode):
    """MODE: normal; refuse, fail, run CMD (runners); stay, list; pong, none, silent, big, kind."""
    out = queue.Queue()
    vms = []
    pong = Message()
    pong.pong.SetInParent()

    def work(name, jit):
        env = dict(os.environ, ACTIONS_RUNNER_INPUT_JITCONFIG=jit)
        done = subprocess.run(args[1:], env=env, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, check=False)
        vms.remove(name)
        out.put(status(vms))
        out.put(event(name, 3 if done.returncode else 2))

    first = status(agent_type="zzz" if mode == "kind" else "TART")
    if mode == "big":
        first.status.hostname = "x" * (2 << 20)
    if mode == "pong":
        out.put(pong)
    elif mode not in ("none", "silent"):
        out.put(first)
    if mode == "none":
        out.put(None)
    if mode == "list":
        vms += args[1:]
        out.get()
        out.put(status(vms))
    # The end of stdin is the end of the stream.
    if mode in ("normal", "refuse", "fail", "list", "stay", "run"):
        threading.Thread(target=lambda: (sys.stdin.read(), out.put(None)), daemon=True).start()
    for m in stream(f"/{AGENT}AgentService/AgentStream", iter(out.get, None), AGENT + "CoordinatorMessage"):
        what = m.WhichOneof("payload")
        if what == "ping":
            say("ping")
            out.put(pong)
            out.put(status(vms))
        elif what == "create_runner":
            c = m.create_runner
            say("create", c.vm_name, c.jit_config, c.runner_scope_url, ",".join(c.labels))
            ack = Message()
            ack.ack.command_id = c.command_id
            ack.ack.accepted = mode != "refuse"
            ack.ack.error = "Capacity exceeded: max 2 VMs" if mode == "refuse" else ""
            out.put(ack)
            if mode == "refuse":
                continue
            vms.append(c.vm_name)
            out.put(status(vms))
            out.put(event(c.vm_name, 1))
            if mode == "stay":
                continue
            if mode == "run":
                threading.Thread(target=work, args=(c.vm_name, c.jit_config), daemon=True).start()
                continue
            vms.remove(c.vm_name)
            out.put(status(vms))
            out.put(event(c.vm_name, 3 if mode == "fail" else 2))
        elif what == "destroy_runner":
            say("destroy", m.destroy_runner.vm_id)
            name = m.destroy_runner.vm_id[3:]
            vms.remove(name)
            out.put(status(vms))
            out.put(event(name, 4))


def health():
    r = unary("/grpc.health.v1.Health/Check", kind("grpc.health.v1.HealthCheckRequest")(service=args[0]),
              "grpc.health.v1.HealthCheckResponse")
    say(kind("grpc.health.v1.HealthCheckResponse").ServingStatus.Name(r.status))


def reflect(version):
    request = kind("grpc.reflection.v1.ServerReflectionRequest")
    asked = [request(list_services="*"), request(file_containing_symbol=AGENT + "AgentService"),
             request(file_by_filename="no.proto")]
    for r in stream(f"/grpc.reflection.{version}.ServerReflection/ServerReflectionInfo", iter(asked),
                    "grpc.reflection.v1.ServerReflectionResponse"):
        for s in r.list_services_response.service:
            say("service", s.name)
        for b in r.file_descriptor_response.file_descriptor_proto:
            say("file", descriptor_pb2.FileDescriptorProto.FromString(b).package)
        if r.HasField("error_response"):
            say("error", r.error_response.error_code)


try:
    {"register": register, "stream": lambda mode, *rest: agent(mode), "health": lambda s: health(),
     "reflect": reflect}[verb](*args)
    end()
except grpc.RpcError as e:
    end(e)
