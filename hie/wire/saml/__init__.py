"""SAML 2.0 assertions as ITI-40 (XUA) carries them in a SOAP header."""
