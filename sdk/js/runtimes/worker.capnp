# The API as a worker: settings are bindings, and the only way out is to this machine.
using Workerd = import "/workerd/workerd.capnp";

const config :Workerd.Config = (
  services = [
    (name = "api", worker = .api),
    (name = "internet", network = (allow = ["local"])),
  ],
  sockets = [(name = "http", http = (), service = "api")],
);

const api :Workerd.Worker = (
  compatibilityDate = "2026-01-01",
  modules = [(name = "api.mjs", esModule = embed ".build/api.mjs")],
  bindings = [
    (name = "X402_VERIFIER_URL", fromEnvironment = "X402_VERIFIER_URL"),
    (name = "X402_PROVIDER_KEY", fromEnvironment = "X402_PROVIDER_KEY"),
    (name = "X402_PAY_TO", fromEnvironment = "X402_PAY_TO"),
    (name = "X402_NETWORK", fromEnvironment = "X402_NETWORK"),
    (name = "X402_TOKEN", fromEnvironment = "X402_TOKEN"),
    (name = "PUBLIC_URL", fromEnvironment = "PUBLIC_URL"),
  ],
);
