// PresenceServiceTests
