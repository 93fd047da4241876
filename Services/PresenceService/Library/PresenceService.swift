// PresenceService
