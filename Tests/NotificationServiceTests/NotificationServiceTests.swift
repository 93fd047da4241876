// NotificationServiceTests
