//! What every process tells of itself: its version, its processor time, memory, open files and start.

use prometheus::{IntGauge, IntGaugeVec, Opts, Registry, process_collector::ProcessCollector};

use crate::admin::Readiness;

/// The gauges of the admin port itself.
#[derive(Clone, Debug)]
pub(crate) struct ProcessMetrics {
    ready: IntGaugeVec,
}

impl ProcessMetrics {
    /// Registers what a process tells, `x402_build_info` and the readiness of its services included.
    pub(crate) fn register(
        registry: &Registry,
        services: &[(&'static str, Readiness)],
    ) -> prometheus::Result<Self> {
        registry.register(Box::new(ProcessCollector::for_self()))?;
        let info = Opts::new("x402_build_info", "1; the label says which version runs.")
            .const_label("version", env!("CARGO_PKG_VERSION"));
        let info = IntGauge::with_opts(info)?;
        info.set(1);
        registry.register(Box::new(info))?;
        let ready = Opts::new(
            "x402_service_ready",
            "1 while the service can do its work, as /readyz says.",
        );
        let ready = IntGaugeVec::new(ready, &["service"])?;
        registry.register(Box::new(ready.clone()))?;
        for (service, _) in services {
            ready.with_label_values(&[*service]);
        }
        Ok(Self { ready })
    }

    /// Looks at the services.
    pub(crate) fn look(&self, services: &[(&'static str, Readiness)]) {
        for (service, readiness) in services {
            let ready = readiness.obstacle().is_none();
            self.ready
                .with_label_values(&[*service])
                .set(i64::from(ready));
        }
    }
}
