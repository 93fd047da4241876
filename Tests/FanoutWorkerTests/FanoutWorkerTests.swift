// FanoutWorkerTests
